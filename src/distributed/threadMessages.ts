/** What a worker and its computing threads say to each other. */
import type { Simd } from '../runtime/core.js'
import type { JobResult } from './jobs.js'

/** What a thread is started with. */
export interface ThreadData {
  /** Address of the file that serves in the thread. */
  readonly file: string
  /** Threads of the core. */
  readonly threads: number
  readonly simd: Simd
  /** The module with the worker's functions. */
  readonly module?: string
}

/** An error with its code, as text. */
export interface ToldError {
  readonly code: string
  readonly message: string
}

export type FromThread =
  | { readonly kind: 'ready' }
  | { readonly kind: 'done'; readonly result: JobResult }
  | { readonly kind: 'failed'; readonly error: ToldError }
  | { readonly kind: 'get' | 'delete'; readonly name: string; readonly call?: number }
  | { readonly kind: 'put'; readonly bytes: Uint8Array; readonly seconds: number; readonly call?: number }

export type ToThread =
  | { readonly kind: 'run'; readonly job: unknown }
  | { readonly kind: 'answer'; readonly call: number; readonly value?: unknown; readonly error?: ToldError }
