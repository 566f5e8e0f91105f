/**
 * Compares each network of the zoo that has torchvision's names with PyTorch: `npm run test:torchvision -- [--only NAME,NAME]`.
 *
 * PyTorch makes a state dict of random weights and random running statistics, and the logits of two images at each of two sizes.
 * The state dict is read by `loadStateDict`, and the logits must be PyTorch's within 1e-4 of the largest. It needs Debian's packages
 * python3-torch and python3-torchvision, about 3 GiB of memory, and as much on the disk for the largest state dict.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { init, runtimeInfo, scope, tensor } from '../../dist/index.js'
import { decodeSafetensors, loadStateDict } from '../../dist/io.js'
import { architecture } from '../../dist/zoo.js'
import { inScratch, largestError, python } from './pytorch.mjs'

const { values: options } = parseArgs({ options: { only: { type: 'string' } } })
const names = JSON.parse(python('-c', 'import json, networks; print(json.dumps(list(networks.NETWORKS)))'))
const chosen = options.only?.split(',') ?? names
const unknown = chosen.filter((name) => !names.includes(name))
if (unknown.length > 0) {
  console.error(`test:torchvision: there is no network ${unknown.join(', ')}; there are ${names.join(', ')}`)
  process.exit(2)
}

await init()
const BOUND = 1e-4
console.log(
  `toeplitz ${runtimeInfo().version} beside PyTorch ${python('-c', 'import torch; print(torch.__version__)').trim()}`,
)
console.log(
  `${'network'.padEnd(24)}${'tensors'.padStart(8)}${'size'.padStart(12)}${'largest logit'.padStart(15)}${'worst error'.padStart(14)}`,
)
let failures = 0
for (const name of chosen) {
  inScratch((folder) => {
    python('compare.py', name, folder)
    const model = architecture(name).make()
    const { missing, unexpected } = loadStateDict(model, readFileSync(join(folder, 'state.safetensors')), { name })
    const { tensors } = decodeSafetensors(readFileSync(join(folder, 'cases.safetensors')), 'cases')
    if (missing.length + unexpected.length > 0) throw new Error(`${name}: strict loading left something out`)
    for (let index = 0; tensors.has(`${index}.x`); index++) {
      const [x, y] = ['x', 'y'].map((part) => tensors.get(`${index}.${part}`))
      const given = scope(() => model.forward(tensor(x.data, x.shape)).data())
      const { error, largest } = largestError(given, y.data)
      if (!(error <= BOUND)) failures++
      console.log(
        `${(index === 0 ? name : '').padEnd(24)}${String(model.namedState().size).padStart(8)}` +
          `${x.shape.slice(2).join(' × ').padStart(12)}${largest.toPrecision(4).padStart(15)}${error.toExponential(1).padStart(14)}` +
          (error <= BOUND ? '' : '   differs'),
      )
    }
    model.dispose()
  })
}
console.log(failures === 0 ? `all within ${BOUND} of the largest logit` : `${failures} differ`)
process.exit(failures === 0 ? 0 : 1)
