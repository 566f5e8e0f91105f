/** In Node, Deno and Bun: prints the answer. */
import { answer } from './answer.mjs'

console.log(JSON.stringify(await answer()))
