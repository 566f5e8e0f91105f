/**
 * Types of the host that stand in the public API, by which it compiles where the host has none of them: with the lib es2022
 * alone. Where the program's libs have them, these are the same.
 */

type Instance<Class, Otherwise> = Class extends { readonly prototype: infer Type } ? Type : Otherwise
type Global<Name extends string, Otherwise> =
  typeof globalThis extends Readonly<Record<Name, infer Class>> ? Instance<Class, Otherwise> : Otherwise
type OfWasm<Name extends string, Otherwise> = typeof globalThis extends {
  readonly WebAssembly: Readonly<Record<Name, infer Class>>
}
  ? Instance<Class, Otherwise>
  : Otherwise

/** A WebAssembly.Module. */
export type WasmModule = OfWasm<'Module', object>
/** A WebAssembly.Memory. */
export type WasmMemory = OfWasm<'Memory', { readonly buffer: ArrayBuffer; grow(pages: number): number }>
/** What an instance exports. */
export type WasmExports = OfWasm<'Instance', { readonly exports: Readonly<Record<string, unknown>> }>['exports']
/** Bytes of a module. */
export type WasmBytes = ArrayBufferView | ArrayBuffer
/** What `fetch` gives. */
export type HttpResponse = Global<'Response', { arrayBuffer(): Promise<ArrayBuffer> }>
/** An AbortSignal. */
export type Signal = Global<'AbortSignal', { readonly aborted: boolean; readonly reason: unknown }>
/** Bytes in an ArrayBuffer of their own: `Uint8Array<ArrayBuffer>`, since TypeScript has that. */
export type OwnBytes = ReturnType<Uint8ArrayConstructor['from']>
/** Floats in an ArrayBuffer of their own. */
export type OwnFloats = ReturnType<Float32ArrayConstructor['from']>
/** The same of clamped bytes, as ImageData takes them. */
export type OwnClampedBytes = ReturnType<Uint8ClampedArrayConstructor['from']>
