/** The edge example, which is plain JavaScript. */
declare module '*/examples/edge/worker.mjs' {
  const worker: { fetch(request: Request, env?: unknown): Promise<Response> }
  export default worker
}
