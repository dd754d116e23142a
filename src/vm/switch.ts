import type { Duplex } from "node:stream";

/** QEMU's stream netdev puts the frame's length before it: 32 bits, network order. */
const headerBytes = 4;
/** More than any frame that a card sends, with all offloads on. */
const maxFrameBytes = 128 * 1024;
/** A card that does not read loses frames from here on, as behind a real switch. */
const maxQueueBytes = 1024 * 1024;

/** A network of its own: what is plugged in here reaches one another, and nothing else. */
export interface Switch {
  readonly name: string;
  /** Plugs a machine's card in; `owner` is the machine's name. Gives back what pulls it out. */
  plug(owner: string, socket: Duplex): () => void;
  /** Drops every frame between two machines, in both directions, or lets them through again. */
  block(one: string, other: string): void;
  unblock(one: string, other: string): void;
  /** Frames that were passed on so far. */
  readonly frames: number;
}

interface Port {
  readonly owner: string;
  readonly socket: Duplex;
}

/** A learning switch in this process: frames go from socket to socket, no device of this computer is involved. */
export function makeSwitch(name: string): Switch {
  const ports = new Set<Port>();
  const places = new Map<string, Port>();
  const blocked = new Set<string>();
  let frames = 0;

  const pass = (from: Port, packet: Buffer) => {
    const frame = packet.subarray(headerBytes);
    if (frame.length < 12) return;
    places.set(frame.toString("hex", 6, 12), from);
    const isGroup = (frame[0]! & 1) === 1;
    const to = isGroup ? undefined : places.get(frame.toString("hex", 0, 6));
    for (const port of to === undefined ? ports : [to]) {
      if (port === from || blocked.has(pairOf(from.owner, port.owner))) continue;
      if (port.socket.writableLength > maxQueueBytes || port.socket.destroyed) continue;
      port.socket.write(packet);
      frames += 1;
    }
  };

  return {
    name,
    get frames() {
      return frames;
    },
    plug: (owner, socket) => {
      const port = { owner, socket };
      const pull = () => {
        ports.delete(port);
        for (const [mac, place] of places) if (place === port) places.delete(mac);
      };
      ports.add(port);
      readFrames(socket, (packet) => pass(port, packet), pull);
      return pull;
    },
    block: (one, other) => void blocked.add(pairOf(one, other)),
    unblock: (one, other) => void blocked.delete(pairOf(one, other)),
  };
}

function pairOf(one: string, other: string): string {
  return [one, other].sort().join("\0");
}

function readFrames(socket: Duplex, onPacket: (packet: Buffer) => void, onEnd: () => void): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= headerBytes) {
      const length = rest.readUInt32BE(0);
      // Out of step, or no QEMU: nothing that follows can be trusted.
      if (length > maxFrameBytes) return void socket.destroy();
      if (rest.length < headerBytes + length) break;
      onPacket(rest.subarray(0, headerBytes + length));
      rest = rest.subarray(headerBytes + length);
    }
  });
  socket.on("error", onEnd);
  socket.on("close", onEnd);
}
