import type { Duplex } from "node:stream";

/** QEMU's stream netdev puts the frame's length before it: 32 bits, network order. */
const headerBytes = 4;
/** More than any frame that a card sends, with all offloads on. */
const maxFrameBytes = 128 * 1024;
/** A card that does not read loses frames from here on, as with a real switch. */
const maxQueueBytes = 1024 * 1024;

/** A network of its own: what is plugged in here reaches one another, and nothing else. */
export interface Switch {
  readonly name: string;
  /** Plugs a machine's card in; `owner` is the machine's name. Gives back what pulls it out. */
  plug(owner: string, socket: Duplex, access?: Access): () => void;
  /** Drops every frame between two machines, in both directions, or lets them through again. */
  block(one: string, other: string): void;
  unblock(one: string, other: string): void;
  /** Frames that were passed on so far. */
  readonly frames: number;
}

/** A port of one VLAN. Without it a port takes and gives frames as they are, tags and all. */
interface Access {
  /** Frames get its tag on their way in, and lose it on their way out; 0 is for frames that have none. */
  readonly vlan: number;
  /** Stands between the port and what is plugged in; gives what is to be passed on instead of a frame, and what to answer. */
  readonly between?: Between;
}

export interface Between {
  /** A frame from what is plugged in. */
  in(frame: Buffer): Passed;
  /** A frame on its way to it. */
  out(frame: Buffer): Passed;
}

interface Passed {
  readonly on?: Buffer;
  /** Sent back to where the frame came from. */
  readonly back?: Buffer;
}

interface Port {
  readonly owner: string;
  readonly socket: Duplex;
  readonly access?: Access;
}

/** Ethernet: two addresses, then, in a tagged frame, this type and the tag. */
const addressBytes = 12;
const tagType = 0x8100;
const tagBytes = 4;

/** A learning switch in this process: frames go from socket to socket, no device of this computer is involved. */
export function makeSwitch(name: string): Switch {
  const ports = new Set<Port>();
  const places = new Map<string, Port>();
  const blocked = new Set<string>();
  let frames = 0;

  const send = (port: Port, frame: Buffer) => {
    if (port.socket.writableLength > maxQueueBytes || port.socket.destroyed) return;
    port.socket.write(Buffer.concat([lengthOf(frame), frame]));
    frames += 1;
  };
  const pass = (from: Port, given: Buffer) => {
    if (given.length < addressBytes + 2) return;
    const { on: inner, back } = from.access?.between?.in(given) ?? { on: given };
    if (back !== undefined) send(from, back);
    if (inner === undefined) return;
    const frame = tagged(inner, from.access?.vlan ?? 0);
    const vlan = vlanOf(frame);
    places.set(`${vlan} ${frame.toString("hex", 6, 12)}`, from);
    const isGroup = (frame[0]! & 1) === 1;
    const to = isGroup ? undefined : places.get(`${vlan} ${frame.toString("hex", 0, 6)}`);
    for (const port of to === undefined ? ports : [to]) {
      if (port === from || blocked.has(pairOf(from.owner, port.owner))) continue;
      if (port.access !== undefined && port.access.vlan !== vlan) continue;
      const outer = port.access === undefined ? frame : untagged(frame);
      const passed = port.access?.between?.out(outer) ?? { on: outer };
      if (passed.back !== undefined) send(from, tagged(passed.back, vlan));
      if (passed.on !== undefined) send(port, passed.on);
    }
  };

  return {
    name,
    get frames() {
      return frames;
    },
    plug: (owner, socket, access) => {
      const port = { owner, socket, ...(access && { access }) };
      const pull = () => {
        ports.delete(port);
        for (const [mac, place] of places) if (place === port) places.delete(mac);
      };
      ports.add(port);
      readFrames(socket, (frame) => pass(port, frame), pull);
      return pull;
    },
    block: (one, other) => void blocked.add(pairOf(one, other)),
    unblock: (one, other) => void blocked.delete(pairOf(one, other)),
  };
}

/** 0 of a frame without a tag. */
function vlanOf(frame: Buffer): number {
  return frame.readUInt16BE(addressBytes) === tagType ? frame.readUInt16BE(addressBytes + 2) & 0xfff : 0;
}

function tagged(frame: Buffer, vlan: number): Buffer {
  if (vlan === 0) return frame;
  const tag = Buffer.alloc(tagBytes);
  tag.writeUInt16BE(tagType, 0);
  tag.writeUInt16BE(vlan, 2);
  return Buffer.concat([frame.subarray(0, addressBytes), tag, frame.subarray(addressBytes)]);
}

function untagged(frame: Buffer): Buffer {
  if (frame.readUInt16BE(addressBytes) !== tagType) return frame;
  return Buffer.concat([frame.subarray(0, addressBytes), frame.subarray(addressBytes + tagBytes)]);
}

function lengthOf(frame: Buffer): Buffer {
  const length = Buffer.alloc(headerBytes);
  length.writeUInt32BE(frame.length);
  return length;
}

function pairOf(one: string, other: string): string {
  return [one, other].sort().join("\0");
}

function readFrames(socket: Duplex, onFrame: (frame: Buffer) => void, onEnd: () => void): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= headerBytes) {
      const length = rest.readUInt32BE(0);
      // Out of step, or no QEMU: nothing that follows can be trusted.
      if (length > maxFrameBytes) return void socket.destroy();
      if (rest.length < headerBytes + length) break;
      onFrame(rest.subarray(headerBytes, headerBytes + length));
      rest = rest.subarray(headerBytes + length);
    }
  });
  socket.on("error", onEnd);
  socket.on("close", onEnd);
}
