/** A limit of the bytes that may be in use at the same time. */
export class ByteBudget {
  readonly #max: number;
  #used = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get used(): number {
    return this.#used;
  }

  hasRoomFor(bytes: number): boolean {
    return this.#used + bytes <= this.#max;
  }

  /** Takes the bytes, whether there is room for them or not. */
  take(bytes: number): void {
    this.#used += bytes;
  }

  release(bytes: number): void {
    this.#used -= bytes;
  }
}
