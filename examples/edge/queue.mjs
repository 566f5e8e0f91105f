/**
 * Serves many clients fairly on one thread, which cannot be interrupted.
 *
 * Each request has a ticket: with the bytes that it holds and, once its picture has arrived, with the work that the
 * picture takes, both in bytes. Three rules:
 *
 * - Room: when the tickets hold more bytes, or wait with more work, than they may together, the client with the most
 *   gives way, with the largest that it has. So the small never leave for the large, nor one client for another's many.
 * - Order: by fair queueing (Demers, Keshav & Shenker, 1989). Each client has a clock that runs by the work done for it.
 *   The picture that would end first by its client's clock is next: a client's small ones before its large ones.
 * - Turns: whoever waits wakes again and again, and does the work that is next, be it another's. So no request depends on
 *   another one being alive. Edge runtimes end a request without a word, and let none wake another. A turn is one picture or
 *   several small ones; between two large pictures there are turns for small ones, because a request takes several rounds
 *   of the event loop to arrive, each of which would otherwise wait for a large picture.
 *
 * So a small picture of work w, whose client has no other request open, waits for what is being decoded when it comes and
 * then, of each other client, for less work than w and that of the largest picture.
 */
import { busy } from './errors.mjs'

/**
 * A later round of the event loop, in which what has arrived was let in. Node calls timers that became due during a long
 * turn without a look at its connections; what setImmediate is given comes after one.
 */
const nextRound = () => new Promise((wake) => setTimeout(() => globalThis.setImmediate?.(wake) ?? wake(), 0))

export class Queue {
  #limits
  /** All that are open, in order of arrival, and those of them whose turn is to come. */
  #tickets = new Set()
  #waiting = new Set()
  /** What all tickets hold and wait with. */
  #totals = { bytes: 0, work: 0 }
  /** By client: the work done for it, as far as it counts. */
  #clocks = new Map()
  /** The latest clock by which a picture began. A client that comes anew starts here: absence saves nothing up. */
  #now = 0
  /** How many turns were taken, and which was the last that a large picture took. */
  #turns = 0
  #large = -Infinity

  constructor(limits) {
    this.#limits = limits
  }

  /** Lets a request in. @throws RequestError 503 when it has to give way at once */
  enter(client) {
    const now = Date.now()
    // Requests that the runtime ended did not leave.
    for (const ticket of this.#tickets) if (ticket.until < now) this.leave(ticket)
    const { arrival, patience } = this.#limits
    const ticket = { client, bytes: 0, work: 0, until: now + 2 * (arrival + patience.small) }
    this.#tickets.add(ticket)
    this.hold(ticket, 0)
    return ticket
  }

  /** Says how many bytes the request holds. @throws RequestError 503 when it has to give way, or had to meanwhile */
  hold(ticket, bytes) {
    this.#weigh(ticket, 'bytes', bytes + this.#limits.heldByEach)
    this.#makeRoom('bytes', this.#limits.held)
    if (!this.#tickets.has(ticket)) throw busy()
  }

  /**
   * Calls `task`, which is not asynchronous, when its turn has come.
   * @returns what it returns
   * @throws what it throws, or RequestError 503 when the request had to give way or its turn did not come in time
   */
  async run(ticket, work, task) {
    const { client } = ticket
    const others = [...this.#waiting].some((waiting) => waiting.client === client)
    if (!others) this.#clocks.set(client, Math.max(this.#now, this.#clocks.get(client) ?? 0))
    ticket.task = task
    this.#weigh(ticket, 'work', work + this.#limits.workOfEach)
    this.#waiting.add(ticket)
    this.#makeRoom('work', this.#limits.waiting)
    const { patience, turn } = this.#limits
    const until = Date.now() + (ticket.work > turn ? patience.large : patience.small)
    while (!ticket.outcome) {
      if (!this.#tickets.has(ticket) || Date.now() > until) throw busy()
      const turns = this.#turns
      await nextRound()
      // Of those who wake in a round only the first works. Then what has arrived meanwhile is let in.
      if (turns === this.#turns) this.#takeTurn()
    }
    if (ticket.outcome.error) throw ticket.outcome.error
    return ticket.outcome.value
  }

  /** To be called for every ticket at its end; again does no harm. */
  leave(ticket) {
    this.#weigh(ticket, 'bytes', 0)
    this.#weigh(ticket, 'work', 0)
    this.#tickets.delete(ticket)
    this.#waiting.delete(ticket)
    for (const { client } of this.#tickets) if (client === ticket.client) return
    this.#clocks.delete(ticket.client)
  }

  #weigh(ticket, what, value) {
    if (!this.#tickets.has(ticket)) return
    this.#totals[what] += value - ticket[what]
    ticket[what] = value
  }

  #makeRoom(what, limit) {
    while (this.#totals[what] > limit) {
      const ofClient = new Map()
      for (const ticket of this.#tickets) {
        ofClient.set(ticket.client, (ofClient.get(ticket.client) ?? 0) + ticket[what])
      }
      let leaving
      for (const ticket of this.#tickets) {
        const share = ofClient.get(ticket.client) - (ofClient.get(leaving?.client) ?? 0)
        // Of equals, the one that came last.
        if (!leaving || (share || ticket[what] - leaving[what]) >= 0) leaving = ticket
      }
      this.leave(leaving)
    }
  }

  /** The picture that is next; and further ones, while all of them together are small. */
  #takeTurn() {
    this.#turns++
    const { turn, rest } = this.#limits
    const onlySmall = this.#turns - this.#large <= rest
    for (let done = 0; ;) {
      let next
      let end = Infinity
      for (const ticket of this.#waiting) {
        if (onlySmall && ticket.work > turn) continue
        const clock = this.#clocks.get(ticket.client) + ticket.work
        if (clock < end) [next, end] = [ticket, clock]
      }
      if (!next || (done > 0 && done + next.work > turn)) return
      done += next.work
      if (next.work > turn) this.#large = this.#turns
      this.#now = Math.max(this.#now, this.#clocks.get(next.client))
      this.#clocks.set(next.client, end)
      this.#waiting.delete(next)
      this.#weigh(next, 'work', 0)
      try {
        next.outcome = { value: next.task() }
      } catch (error) {
        next.outcome = { error }
      }
    }
  }
}
