/**
 * What one request may take, and what all that are open may take together.
 *
 * JavaScript runs on one thread here, and decoding cannot be interrupted: whoever comes while a picture is decoded waits
 * for its end. So the work is bounded before it begins. It is counted in bytes (picture.mjs), of which a MiB took about 8
 * ms where this was written (test/platform/load-edge.mjs tells), and not timed: on Cloudflare no clock advances while code
 * runs.
 */
const KiB = 1024
const MiB = 1024 * KiB

export const limits = {
  /** Bytes of a request's body: a PNG of a photograph of 600 × 600 pixels. */
  body: MiB,
  /** Pixels of a picture; of a digit, 28 × 28 are looked at. */
  pixels: MiB,
  /** How many times the shorter side of a picture the longer may be. */
  aspect: 16,
  /** Bytes of a picture when it is inflated, and while it is decoded: RGBA of 8 bits for the most pixels, 16 for half. */
  inflated: 5 * MiB,

  /** Bytes that open requests may hold together, and what each holds beside its body. */
  held: 24 * MiB,
  heldByEach: 16 * KiB,
  /** Work that may wait: a third of a second. What each answer takes beside decoding, in the same unit. */
  waiting: 32 * MiB,
  workOfEach: 48 * KiB,
  /**
   * Work of the small pictures that are decoded in one turn, before the next requests are let in; more is a large picture.
   * Turns between two large ones: with none, a small request waits for two or three of them, one in each round of the
   * event loop that it takes to arrive.
   */
  turn: 512 * KiB,
  rest: 4,

  /** Milliseconds in which a body must arrive. */
  arrival: 5000,
  /** Milliseconds in which the turn of a picture must come: more for a small one, which comes soon except in a crowd. */
  patience: { small: 2000, large: 750 },
  /** Bytes and milliseconds for which a refused request is listened to, so that its sender hears the answer. */
  lingerBytes: 8 * MiB,
  linger: 1000,
}
