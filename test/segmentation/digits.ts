/** A few digits to make scenes of, without MNIST: bars and rings, of two classes. */
import type { ImageDataset } from '../../src/data/dataset.js'

/** Pictures of 12 × 12: class 0 is a bar, class 1 a ring, each with empty borders. */
export function digits(size = 6): ImageDataset {
  const images = new Uint8Array(size * 144)
  const labels = Uint8Array.from({ length: size }, (_, n) => n % 2)
  for (let n = 0; n < size; n++) {
    for (let i = 0; i < 144; i++) {
      const [row, column] = [Math.floor(i / 12), i % 12]
      const inside = row >= 2 && row < 10 && column >= 2 && column < 10
      const isEdge = row === 2 || row === 9 || column === 2 || column === 9
      const isInk = labels[n] === 0 ? column >= 5 && column < 7 && row >= 1 && row < 11 : inside && isEdge
      if (isInk) images[n * 144 + i] = 200 + n
    }
  }
  return { images, labels, size, shape: [1, 12, 12], classes: ['bar', 'ring'] }
}
