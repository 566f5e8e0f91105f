import type { RemoteTrial } from '../../../src/distributed/index.js'

export const score: RemoteTrial
export const broken: RemoteTrial
export const poison: RemoteTrial
export const endless: RemoteTrial
