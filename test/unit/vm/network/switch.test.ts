import { Duplex } from "node:stream";
import { describe, expect, it } from "vitest";
import { makeSwitch } from "../../../../src/vm/network/switch.ts";

/** A card's end: what the switch sent, as frames; `send` speaks as QEMU does. */
function card() {
  const frames: string[] = [];
  const socket = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _encoding, done) => {
      expect(chunk.readUInt32BE(0)).toBe(chunk.length - 4);
      frames.push(chunk.toString("latin1", 4 + 12));
      done();
    },
  });
  return { socket, frames, send: (bytes: Buffer) => socket.push(bytes) };
}

function packet(to: string, from: string, text: string): Buffer {
  const frame = Buffer.concat([Buffer.from(to + from, "hex"), Buffer.from(text, "latin1")]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(frame.length);
  return Buffer.concat([length, frame]);
}

const everybody = "ffffffffffff";
const [a, b, c] = ["525400000001", "525400000002", "525400000003"];
const settled = () => new Promise((resolve) => setImmediate(resolve));

function three() {
  const lan = makeSwitch("lan");
  const cards = [card(), card(), card()] as const;
  for (const [index, one] of cards.entries()) lan.plug(["one", "two", "three"][index]!, one.socket);
  return { lan, cards };
}

describe("a switch", () => {
  it("gives a group's frame to all others, and a machine's to it alone once it has spoken", async () => {
    const { cards } = three();
    cards[0].send(packet(everybody, a, "who is there"));
    await settled();
    expect(cards.map(({ frames }) => frames)).toEqual([[], ["who is there"], ["who is there"]]);
    cards[1].send(packet(a, b, "I am"));
    await settled();
    expect(cards.map(({ frames }) => frames.length)).toEqual([1, 1, 1]);
    cards[0].send(packet(c, a, "to one that never spoke"));
    await settled();
    expect(cards.map(({ frames }) => frames.length)).toEqual([1, 2, 2]);
  });

  it("reads frames that come in pieces, and many in one", async () => {
    const { lan, cards } = three();
    const bytes = Buffer.concat([packet(everybody, a, "first"), packet(everybody, a, "second")]);
    for (const byte of bytes.subarray(0, 30)) cards[0].send(Buffer.from([byte]));
    cards[0].send(bytes.subarray(30));
    await settled();
    await settled();
    expect(cards[1].frames).toEqual(["first", "second"]);
    expect(lan.frames).toBe(4);
  });

  it("drops what two machines say to each other while they are blocked, and nothing else", async () => {
    const { lan, cards } = three();
    lan.block("two", "one");
    cards[0].send(packet(everybody, a, "hello"));
    await settled();
    expect(cards.map(({ frames }) => frames.length)).toEqual([0, 0, 1]);
    lan.unblock("one", "two");
    cards[0].send(packet(everybody, a, "again"));
    await settled();
    expect(cards[1].frames).toEqual(["again"]);
  });

  it("forgets a card that is pulled, and cuts one that is out of step", async () => {
    const { lan, cards } = three();
    const extra = card();
    lan.plug("four", extra.socket)();
    cards[0].send(packet(everybody, a, "hello"));
    cards[1].send(Buffer.from("ffffffff00", "hex"));
    await settled();
    await settled();
    expect(extra.frames).toEqual([]);
    expect(cards[1].socket.destroyed).toBe(true);
    cards[0].send(packet(everybody, a, "still there"));
    await settled();
    expect(cards[2].frames).toEqual(["hello", "still there"]);
  });
});

describe("a port of a VLAN", () => {
  const tag = (vlan: number) => Buffer.from([0x81, 0x00, 0x20 | (vlan >> 8), vlan & 0xff]).toString("latin1");

  it("tags what comes in, and gives out what has its tag, without it", async () => {
    const lan = makeSwitch("lan");
    const [guest, plain, forty] = [card(), card(), card()];
    lan.plug("guest", guest.socket);
    lan.plug("internet", plain.socket, { vlan: 0 });
    lan.plug("internet", forty.socket, { vlan: 40 });
    guest.send(packet(everybody, a, `${tag(40)}to forty`));
    guest.send(packet(everybody, a, `${tag(41)}to none`));
    guest.send(packet(everybody, a, "to all without a tag"));
    await settled();
    expect(forty.frames).toEqual(["to forty"]);
    expect(plain.frames).toEqual(["to all without a tag"]);
    // The same address is another machine in another VLAN.
    forty.send(packet(a, b, "from forty"));
    plain.send(packet(a, b, "from plain"));
    await settled();
    expect(guest.frames.map((one) => Buffer.from(one, "latin1"))).toEqual([
      Buffer.concat([Buffer.from([0x81, 0, 0, 40]), Buffer.from("from forty")]),
      Buffer.from("from plain"),
    ]);
    expect([forty.frames.length, plain.frames.length]).toEqual([1, 1]);
    guest.send(packet(b, a, `${tag(40)}again`));
    await settled();
    expect([forty.frames, plain.frames]).toEqual([["to forty", "again"], ["to all without a tag"]]);
  });

  it("has what stands between change frames, and answer in its place", async () => {
    const lan = makeSwitch("lan");
    const [guest, behind] = [card(), card()];
    lan.plug("guest", guest.socket);
    const answer = Buffer.concat([Buffer.from(a + b, "hex"), Buffer.from("answer")]);
    lan.plug("internet", behind.socket, {
      vlan: 40,
      between: { in: (frame) => ({ on: frame, back: answer }), out: () => ({ back: answer }) },
    });
    behind.send(packet(everybody, b, "hello"));
    await settled();
    guest.send(packet(everybody, a, `${tag(40)}hello`));
    await settled();
    expect(behind.frames).toEqual(["answer"]);
    expect(guest.frames.map((one) => one.slice(4))).toEqual(["hello", "answer"]);
  });
});
