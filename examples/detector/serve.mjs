/** Serves the page: `node serve.mjs [port]`, with the server of examples/browser. */
import { start } from '../browser/serve.mjs'
import { buildPage } from './build.mjs'

await start(buildPage, 'npm run demo:detector')
