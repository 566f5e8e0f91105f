// @ts-check
// The peers of the bench: those that run models in Node, and why another one does not.

/**
 * One side of a model. Values are compared by the names of the outputs.
 * @typedef {{
 *   run: () => unknown,
 *   outputs: () => Record<string, Float32Array> | Promise<Record<string, Float32Array>>,
 *   dispose: () => unknown,
 * }} ModelContender
 * @typedef {(
 *   model: import('./files.mjs').ModelFiles,
 *   inputs: readonly import('./values.mjs').Input[],
 * ) => Promise<ModelContender>} CreateModel
 * @typedef {{ createModel: CreateModel, mostThreads?: number, useThreads?: (threads: number) => void }} ModelPeer `mostThreads` it can have, where there is a limit
 */

/** @type {Record<string, () => Promise<ModelPeer>>} */
export const peerModules = {
  'onnxruntime-web': () => import('../peers/onnxruntime-web.mjs'),
  'tfjs-wasm': () => import('../peers/tfjs-wasm.mjs'),
}

/** Peers that are named in the table with the reason why they have no times. @type {Readonly<Record<string, string>>} */
export const absentPeers = { 'LiteRT.js': 'only in browsers' }
