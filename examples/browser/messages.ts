/** What the page and its worker say to each other. */
import type { SummaryRow } from 'toeplitz'

/** Rows and columns of the pictures, and the number of classes: those of MNIST. */
export const SIDE = 28
export const CLASSES = 10
/** Images in a training step. */
export const BATCH = 64

/** Numbers with their shape. */
export interface Values {
  readonly shape: readonly number[]
  readonly values: Float32Array<ArrayBuffer>
}

/** The output of one layer for the digit on the pad; a ReLU after it is part of it. */
export interface LayerValues extends Values {
  readonly layer: string
}

export type ToWorker =
  | { readonly type: 'train' }
  | { readonly type: 'pause' }
  | { readonly type: 'restart' }
  | { readonly type: 'rate'; readonly rate: number }
  /** Show what the model makes of these SIDE × SIDE bytes, light strokes on black. */
  | { readonly type: 'look'; readonly pixels: Uint8Array<ArrayBuffer> }
  | { readonly type: 'pick' }
  | { readonly type: 'save' }
  | { readonly type: 'load'; readonly name: string; readonly bytes: Uint8Array<ArrayBuffer> }

/** A model is in place: a new one, or one from a file. */
export interface ModelMessage {
  readonly type: 'model'
  /** The file that it came from. */
  readonly source?: string
  readonly layers: readonly SummaryRow[]
  readonly parameters: number
}

export interface StepMessage {
  readonly type: 'step'
  readonly step: number
  /** Training images seen so far. */
  readonly images: number
  /** Of this batch. */
  readonly loss: number
  readonly accuracy: number
  /** Over the last seconds. */
  readonly imagesPerSecond: number
}

export interface TestMessage {
  readonly type: 'test'
  readonly images: number
  readonly accuracy: number
  readonly loss: number
  /** Test images. */
  readonly size: number
}

export interface SightMessage {
  readonly type: 'sight'
  readonly layers: readonly LayerValues[]
  /** Weights (K, C, R, S) of the first convolution. */
  readonly filters: Values | null
  readonly probabilities: Float32Array<ArrayBuffer>
  /** Whether the digit is another one than that of the message before. */
  readonly fresh: boolean
}

export interface OcclusionMessage extends Values {
  readonly type: 'occlusion'
  readonly target: number
}

export type FromWorker =
  | {
      readonly type: 'ready'
      readonly threads: number
      /** Why there are fewer than were asked for. */
      readonly threadsOffBecause?: string
      readonly version: string
    }
  | { readonly type: 'loading'; readonly share: number }
  | { readonly type: 'training'; readonly on: boolean }
  | ModelMessage
  | StepMessage
  | TestMessage
  | SightMessage
  | OcclusionMessage
  | { readonly type: 'picked'; readonly pixels: Uint8Array<ArrayBuffer>; readonly label: number }
  | { readonly type: 'saved'; readonly bytes: Uint8Array<ArrayBuffer> }
  /** Something went wrong; `fatal` means that there is no model to go on with. */
  | { readonly type: 'failed'; readonly message: string; readonly fatal: boolean }
