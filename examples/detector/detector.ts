/** BlazeFace as a program of the package: pixels to faces. */
import { init, runtimeInfo, tensor } from 'toeplitz'
import { loadOnnx, type Program } from 'toeplitz/onnx'
import { facesOf, inputOf, NUMBERS, SIDE, type Face } from './faces.js'

/** Faces of a picture, and what it took to find them. */
export interface Found {
  readonly faces: readonly Face[]
  /** Milliseconds that the network computed. */
  readonly milliseconds: number
}

/** A network that finds faces. */
export class Detector {
  readonly #program: Program
  readonly #input: string
  /** Weights of the network. */
  readonly parameters: number
  /** Version of the package. */
  readonly version: string

  private constructor(program: Program) {
    this.#program = program
    this.#input = program.inputs[0]?.name ?? ''
    this.parameters = program.parameters().reduce((sum, { size }) => sum + size, 0)
    this.version = runtimeInfo().version
  }

  /**
   * Fetches the network and plans it.
   * @throws Error that says what is missing, or the errors of `init` and `loadOnnx`
   */
  static async load(address: URL): Promise<Detector> {
    await init()
    const response = await fetch(address)
    if (!response.ok) {
      throw new Error(
        `The network is missing: ${address.pathname} answers ${response.status}. \`node examples/detector/build.mjs\` fetches it.`,
      )
    }
    return new Detector(loadOnnx(new Uint8Array(await response.arrayBuffer()), { name: 'BlazeFace' }))
  }

  /** Faces in 128 × 128 pixels, RGBA; lengths are shares of the square. */
  find(pixels: Uint8ClampedArray): Found {
    const start = performance.now()
    const image = tensor(inputOf(pixels), [1, SIDE, SIDE, 3])
    const results = Object.values(this.#program.run({ [this.#input]: image }))
    image.dispose()
    // The finer grid comes first, as in the anchors.
    const list = (last: number): Float32Array => {
      const parts = results
        .filter(({ shape }) => shape.at(-1) === last)
        .sort((a, b) => b.size - a.size)
        .map((part) => part.data())
      return Float32Array.from(parts.flatMap((part) => Array.from(part as Float32Array)))
    }
    const [logits, numbers] = [list(1), list(NUMBERS)]
    for (const result of results) result.dispose()
    const milliseconds = performance.now() - start
    return { faces: facesOf(logits, numbers), milliseconds }
  }
}
