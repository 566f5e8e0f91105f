/** What is wrong with a request: the status of the answer, a code for programs and one line for people. */
export class RequestError extends Error {
  constructor(status, code, message) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** Nothing is wrong with the request, except that too many came. */
export const busy = () =>
  new RequestError(503, 'BUSY', 'too many pictures wait; send it again after Retry-After seconds')
