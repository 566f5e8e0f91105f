/** Programs that were read of a file that may say anything: run on small inputs. */
import type { Program } from '../../src/models/program.js'
import { tensor } from '../../src/tensor/create.js'
import { scope, type AnyTensor } from '../../src/tensor/tensor.js'
import { attempt } from './target.js'

/**
 * Runs a program twice, planned and repeated, and lets it be told; it may be refused. One with an input of more than `most` elements is
 * not run: what a file declares may be far larger.
 */
export function runSmall(program: Program, most = 2 ** 12): void {
  scope(() => {
    const inputs: Record<string, AnyTensor> = {}
    for (const { name, dtype, shape } of program.inputs) {
      const extents = (shape ?? [2, 2]).map((extent) => (typeof extent === 'number' ? extent : 2))
      const size = extents.reduce((product, extent) => product * extent, 1)
      if (!(size <= most)) return
      inputs[name] = tensor(new Array<number>(size).fill(1), extents, { dtype })
    }
    for (let pass = 0; pass < 2; pass++) attempt(() => program.run(inputs))
    attempt(() => String(program.summary()))
  })
}
