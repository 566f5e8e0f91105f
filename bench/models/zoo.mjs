// @ts-check
// Writes a network of the zoo as ONNX, and as steps for peers that read no ONNX. Arguments: its name and both paths.
import { writeFileSync } from 'node:fs'
import { serialize } from 'node:v8'
import { init } from '../../dist/index.js'
import { saveOnnx } from '../../dist/onnx.js'
import { createModel } from '../../dist/zoo.js'
import { networkOf } from '../networks/steps.mjs'

const [name = '', onnx = '', network = ''] = process.argv.slice(2)
await init()
const model = createModel(name, { seed: 1 }).eval()
writeFileSync(onnx, saveOnnx(model))
writeFileSync(network, serialize(networkOf(model)))
console.log(JSON.stringify(name))
