/** A disk is not what it should be. Any other error of a reader is a defect of the reader. */
export class Unreadable extends Error {}

/** The value, or why there is none. */
export function unlessUnreadable<T>(work: () => T): T | Unreadable {
  try {
    return work();
  } catch (error) {
    if (error instanceof Unreadable) return error;
    throw error;
  }
}
