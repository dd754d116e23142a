/** Free extents of the members of a group, or free bytes of the members of a pool. */
type Free = readonly number[];

/** The most rows of which each lies on `width` different members: what a mirror or a stripe over so many can hold of each copy. */
export function rowsOver(free: Free, width: number): number {
  // A member longer than a row count gives that many; the answer lies between none and an even share.
  let [least, most] = [0, Math.floor(free.reduce((sum, one) => sum + one, 0) / width)];
  while (least < most) {
    const rows = Math.ceil((least + most) / 2);
    if (free.reduce((sum, one) => sum + Math.min(one, rows), 0) >= width * rows) least = rows;
    else most = rows - 1;
  }
  return least;
}

/** More ways than this to part the members are not tried. */
const mostWays = 100_000;

/** The most that each of several copies can hold, none of which shares a member with another: LVM's rule for mirrors. */
export function copiesOver(free: Free, copies: number): number {
  if (copies ** free.length > mostWays) return rowsOver(free, copies);
  const sums = new Array<number>(copies).fill(0);
  const best = (index: number): number => {
    const room = free[index];
    if (room === undefined) return Math.min(...sums);
    let most = 0;
    for (let copy = 0; copy < copies; copy += 1) {
      sums[copy] = sums[copy]! + room;
      most = Math.max(most, best(index + 1));
      sums[copy] = sums[copy]! - room;
    }
    return most;
  };
  return best(0);
}

/** What is left, in any order, when `rows` rows over `width` members were taken from those with the most room, as LVM does. */
export function takeRows(free: Free, rows: number, width: number): number[] {
  let left = [...free];
  for (let open = rows; open > 0; ) {
    left.sort((a, b) => b - a);
    const last = left[width - 1] ?? 0;
    if (last <= 0) break;
    // Down to the next member at once, and in shares where members are alike.
    const step = Math.min(open, last, Math.max(last - (left[width] ?? 0), Math.ceil(open / 64)));
    left = left.map((room, index) => (index < width ? room - step : room));
    open -= step;
  }
  return left;
}
