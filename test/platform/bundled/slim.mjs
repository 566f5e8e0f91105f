/** As web.mjs, with the core as a file of its own; `address` is the bundler's way to name it. */
import { conv2d, init, tensor } from 'toeplitz/slim'
import address from './core-address.mjs'

const report = await init({ module: fetch(address) })
  .then(() => ({
    value: conv2d(tensor([[[[1, 2, 3]]]]), tensor([[[[1, 10]]]]))
      .data()
      .join(),
  }))
  .catch((error) => ({ error: `${error.code}: ${error.message}` }))
await fetch('/report', { method: 'POST', body: JSON.stringify(report) })
