/** A program that uses every entry; lines under @ts-expect-error must not compile. */
export const program = `
import { accuracy, crossEntropy, evaluate, fit, init, Linear, scope, Sequential, SGD, tensor, tensorExamples, type Tensor } from 'toeplitz'
import { init as initSlim } from 'toeplitz/slim'
import { loadClassifier } from 'toeplitz/classifier'
import { readIdx } from 'toeplitz/data'
import { extractFeatures, kMeansFilters } from 'toeplitz/features'
import { decodeImage } from 'toeplitz/io'
import { loadImageFolder, readFileOrExplain } from 'toeplitz/node'
import { decodeWav, type Sound } from 'toeplitz/audio'
import { remote } from 'toeplitz/distributed'
import { MeanImage } from 'toeplitz/layers'
import { loadOnnx } from 'toeplitz/onnx'
import { toeplitzPenalty } from 'toeplitz/priors'
import { quantize } from 'toeplitz/quant'
import { pottsModel } from 'toeplitz/segmentation'
import { loadTfjs } from 'toeplitz/tfjs'
import { ema } from 'toeplitz/train'
import { saliencyMap } from 'toeplitz/vision'
import { readRaw, type Volume } from 'toeplitz/volumes'
import core from 'toeplitz/core.wasm'
import relaxed from 'toeplitz/relaxed.wasm'
import threads from 'toeplitz/threads.wasm'
import relaxedThreads from 'toeplitz/relaxed-threads.wasm'
import integers from 'toeplitz/integers.wasm'
import integersThreads from 'toeplitz/integers-threads.wasm'
import { createModel, lossOf, vgg } from 'toeplitz/zoo'

await init({ module: core })
const model = new Sequential([new Linear({ outFeatures: 2 })], { input: [3] })
const optimizer = new SGD(model.parameters(), { lr: 0.1 })
const data = tensorExamples(tensor([[1, 2, 3], [4, 5, 6]]), [0, 1])
const options = { epochs: 1, batchSize: 2, loss: crossEntropy, optimizer }
for await (const event of fit(model, data, { ...options, metrics: { accuracy } })) {
  const share: number = event.type === 'step' ? event.running.metrics.accuracy : event.training.metrics.accuracy
  void share
  // @ts-expect-error
  if (event.type === 'epoch') event.training.metrics.acuracy
}
fit(model, data, { ...options, metrics: { accuracy }, earlyStopping: { patience: 1, monitor: 'accuracy' } })
fit(model, data, { ...options, earlyStopping: { patience: 1, monitor: 'loss' } })
// @ts-expect-error
fit(model, data, { ...options, metrics: { accuracy }, earlyStopping: { patience: 1, monitor: 'acuracy' } })
model.train(false)
// @ts-expect-error
model.freeze('0', '1')
const history = await fit(model, { x: new Float32Array(6), y: [0, 1] }, options)
// @ts-expect-error
history.epochs[0]?.training.metrics.accuracy
const measured = await evaluate(model, data, { batchSize: 2, loss: crossEntropy, metrics: { top: accuracy } })
measured.metrics.top.toFixed(2)
// @ts-expect-error
measured.metrics.accuracy

const features = await extractFeatures(model, '0', data)
const learnedLabels: number[] = features.batch(Int32Array.of(0)).target
// @ts-expect-error
kMeansFilters(data, { size: 3 })

const network = createModel('lenet5')
const computed: string = ['vgg16', 'convnet'].join('')
createModel(computed)
lossOf('convnet')
// @ts-expect-error
createModel('nonsense')
// @ts-expect-error
lossOf('nonsense')
// @ts-expect-error
vgg({ configuration: 'F' })
// @ts-expect-error
new Linear({ outFeature: 2 })

export const used: readonly unknown[] = [initSlim, learnedLabels, loadClassifier, readIdx, decodeImage, saliencyMap, network, loadImageFolder]
export const others: readonly unknown[] = [remote, MeanImage, loadOnnx, toeplitzPenalty, quantize, pottsModel, loadTfjs, ema, decodeWav, readRaw]
export const modules: readonly unknown[] = [relaxed, threads, relaxedThreads, integers, integersThreads]
export const samples = (sound: Sound, volume: Volume): number => (sound.samples[0] ?? 0) + (volume.values[0] ?? 0)
export const bytes: Promise<Uint8Array> = readFileOrExplain('model.safetensors')
export const result: Tensor = scope(() => model.forward(tensor([[1, 2, 3]])))
`
