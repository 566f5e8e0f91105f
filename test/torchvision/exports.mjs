/**
 * Runs torchvision's networks as PyTorch exports them to ONNX, beside PyTorch:
 * `npm run test:exports -- [--only NAME,NAME] [--opset 9,13,17]`.
 *
 * Weights are random. A file must give what PyTorch does within 1e-4 of the largest output. What PyTorch itself cannot export is
 * counted by itself. Where it warns that the upsampling of an old opset is not its own, the file is compared with the network that
 * has that one. It needs Debian's packages python3-torch and python3-torchvision.
 */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { init, memoryUsage, tensor } from '../../dist/index.js'
import { decodeSafetensors } from '../../dist/io.js'
import { loadOnnx } from '../../dist/onnx.js'
import { inScratch, largestError, python } from './pytorch.mjs'

const { values: options } = parseArgs({ options: { only: { type: 'string' }, opset: { type: 'string' } } })
const names = JSON.parse(python('exports.py', '--list'))
const chosen = options.only?.split(',') ?? names
const opsets = options.opset?.split(',') ?? ['9', '13', '17']
const unknown = chosen.filter((name) => !names.includes(name))
if (unknown.length > 0) {
  console.error(`test:exports: there is no network ${unknown.join(', ')}; there are ${names.join(', ')}`)
  process.exit(2)
}

await init()
const BOUND = 1e-4
const count = { agree: 0, differ: 0, 'PyTorch cannot export': 0 }

/** One file: what became of it, and what is said of it. */
function judge(path, x, y, { refused, upsampled, batch }) {
  if (refused !== undefined) return ['PyTorch cannot export', refused]
  const before = memoryUsage().liveBytes
  let program
  try {
    program = loadOnnx(readFileSync(path), { name: path })
    const nodes = `${program.summary().rows.length} nodes, ${(statSync(path).size / 1e6).toFixed(1)} MB`
    const image = tensor(x.data, x.shape)
    const errors = []
    // Twice: as it is planned, and as it is repeated.
    for (let pass = 0; pass < 2; pass++) {
      const given = program.run({ x: image }, ['y']).y
      if (given.shape.join() !== y.shape.join()) return ['differ', `the output is (${given.shape}), not (${y.shape})`]
      errors.push(largestError(given.data(), y.data).error)
      given.dispose()
    }
    image.dispose()
    const worst = Math.max(...errors)
    const said = `${worst.toExponential(1)}, ${nodes}${batch === 'any' ? '' : ', for its own batch'}${upsampled ? ', with its upsampling' : ''}`
    if (!(worst <= BOUND)) return ['differ', said]
    program.dispose()
    program = undefined
    const left = memoryUsage().liveBytes - before
    return left === 0 ? ['agree', said] : ['differ', `${left} bytes stay`]
  } catch (error) {
    return ['differ', String(error.message ?? error)]
  } finally {
    program?.dispose()
  }
}

for (const name of chosen) {
  inScratch((folder) => {
    python('exports.py', name, folder, ...opsets)
    const { tensors } = decodeSafetensors(readFileSync(join(folder, 'case.safetensors')), 'case')
    const { x, y, upsampled } = Object.fromEntries(tensors)
    const told = JSON.parse(readFileSync(join(folder, 'told.json'), 'utf8'))
    for (const opset of opsets) {
      const path = join(folder, `${name}-${opset}.onnx`)
      if (told[opset].refused === undefined && !existsSync(path)) throw new Error(`${name}: no file at opset ${opset}`)
      const [verdict, said] = judge(path, x, told[opset].upsampled ? upsampled : y, told[opset])
      count[verdict]++
      console.log(`${name.padEnd(30)}${opset.padStart(3)}  ${verdict}: ${said.slice(0, 300)}`)
    }
  })
}
console.log(
  Object.entries(count)
    .map(([verdict, files]) => `${files} ${verdict}`)
    .join(', '),
)
process.exit(count.differ === 0 ? 0 : 1)
