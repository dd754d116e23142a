export type AcceleratorName = "kvm" | "tcg";

export interface Accelerator {
  readonly name: AcceleratorName;
  /** Multiply the time bounds of real hardware by this. */
  readonly scale: number;
  /** Why this one, for a person. */
  readonly reason: string;
}
