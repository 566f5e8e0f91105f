/** What jobs and workers must agree on, so that both compute the same bits. */
import { currentSimd, type Simd } from '../runtime/core.js'

declare const __VERSION__: string | undefined

/** The release of the library, and the core that this process computes with. */
export const ownRelease = (): { readonly version: string; readonly simd: Simd } => ({
  version: typeof __VERSION__ === 'string' ? __VERSION__ : 'source',
  simd: currentSimd(),
})
