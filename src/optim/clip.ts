/** Gradient clipping (Pascanu, Mikolov & Bengio 2013; Goodfellow et al., equations 10.48 and 10.49). */
import { checkConstant } from '../autodiff/op.js'
import { guarded, kernels, parallel } from '../runtime/core.js'
import { checkList } from '../runtime/check.js'
import { LIGHT } from '../runtime/work.js'
import { empty, scope, type Tensor } from '../tensor/tensor.js'
import { checkFloats, checkOption } from './optimizer.js'
import { withArity } from '../runtime/options.js'

/** What `clipGradNorm` gives. */
export interface ClippedGradients {
  /** In the order given, each to be disposed on its own; where nothing was clipped they share the given memory. */
  readonly gradients: Tensor[]
  /** The L2 norm of all gradients together, before clipping. */
  readonly norm: number
}

/** The L2 norm of all gradients together, accumulated in float64: not finite when, and only when, an element is not. @internal */
export const gradientNorm = (gradients: readonly Tensor[]): number =>
  guarded('clipGradNorm', () =>
    Math.sqrt(gradients.reduce((sum, { pointer, size }) => sum + kernels().norm_squares(pointer, size), 0)),
  )

/**
 * Scales all gradients by maxNorm / (norm + 1e-6) if that is below 1, as PyTorch does. The norm is accumulated in
 * float64. A NaN makes every gradient NaN; an infinite element becomes NaN and the finite ones 0.
 *
 *     const { gradients: clipped, norm } = clipGradNorm(gradients, 1)
 *
 * @throws ShapeError when maxNorm is not a finite number from 0 on, or a gradient is no Tensor.
 */
export const clipGradNorm = withArity(
  'clipGradNorm',
  2,
  (gradients: readonly Tensor[], maxNorm: number): ClippedGradients => {
    kernels('clipGradNorm')
    checkOption('clipGradNorm', 'maxNorm', maxNorm, { from: 0 })
    checkList(gradients, 'clipGradNorm: the gradients', 'a list of tensors')
    Array.from(gradients).forEach((gradient: unknown, index) => {
      checkFloats('clipGradNorm', 'gradient', index, gradient)
      checkConstant(gradient, 'clipGradNorm', `gradient ${index}`)
    })
    const norm = gradientNorm(gradients)
    const factor = maxNorm / (norm + 1e-6)
    const clipped = scope(() =>
      gradients.map((gradient) => {
        if (factor >= 1) return gradient.alias()
        const result = empty(gradient.shape, 'clipGradNorm')
        parallel('norm_scale', gradient.size, LIGHT, result.pointer, gradient.pointer, factor)
        return result
      }),
    )
    return { gradients: clipped, norm }
  },
)
