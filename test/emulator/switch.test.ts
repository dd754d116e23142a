import { Duplex } from "node:stream";
import { describe, expect, it } from "vitest";
import { makeSwitch } from "../../src/vm/switch.ts";

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
  const frame = Buffer.concat([Buffer.from(to + from, "hex"), Buffer.from(text)]);
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
