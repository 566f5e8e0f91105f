/** The queue of examples/edge, in time that is simulated: a task takes as many milliseconds as its work. */
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { networkOf } from '../../examples/edge/client.mjs'
import { Queue } from '../../examples/edge/queue.mjs'

const limits = {
  ...{ held: 100, heldByEach: 1, waiting: 100, workOfEach: 1, turn: 5, rest: 0 },
  ...{ arrival: 5000, patience: { small: 750, large: 750 } },
}

const forever = { small: 1e9, large: 1e9 }

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

/** One round of the event loop: timers that are due, then what comes after them. */
const round = () => vi.advanceTimersByTimeAsync(1)

/** A queue, and what was done in it, in order. */
function recorded(given = {}) {
  const queue = new Queue({ ...limits, ...given })
  const done = []
  const sent = []
  /** Sends a picture. The result is its outcome: its name, or the status of the refusal. */
  const picture = (client, name, work, bytes = 0) => {
    const outcome = (async () => {
      let ticket
      try {
        ticket = queue.enter(client)
        queue.hold(ticket, bytes)
        return await queue.run(ticket, work - 1, () => {
          vi.setSystemTime(Date.now() + work)
          done.push({ client, name, work })
          return name
        })
      } catch (error) {
        return error.status
      } finally {
        if (ticket) queue.leave(ticket)
      }
    })()
    sent.push(outcome)
    return outcome
  }
  const end = async () => {
    await vi.runAllTimersAsync()
    return Promise.all(sent)
  }
  return { queue, done, picture, end, names: () => done.map(({ name }) => name) }
}

describe('the order', () => {
  it('is small before large, and that of arrival between equals, for one client', async () => {
    const { picture, end, names } = recorded()
    picture('a', 'large', 50)
    picture('a', 'first', 2)
    picture('a', 'second', 2)
    picture('a', 'smallest', 1)
    expect(await end()).toEqual(['large', 'first', 'second', 'smallest'])
    expect(names()).toEqual(['smallest', 'first', 'second', 'large'])
  })

  it('gives clients the same work, not the same number', async () => {
    const { picture, end, names } = recorded()
    for (let n = 0; n < 3; n++) picture('a', `a${n}`, 9)
    for (let n = 0; n < 9; n++) picture('b', `b${n}`, 3)
    await end()
    expect(names().join(' ')).toBe('b0 b1 a0 b2 b3 b4 a1 b5 b6 b7 a2 b8')
  })

  it('brings a large picture its turn, however many small ones others have waiting', async () => {
    const { picture, end, names } = recorded({ held: 1e9, waiting: 1e9 })
    picture('a', 'large', 40)
    for (let n = 0; n < 100; n++) {
      picture('b', 'small', 1)
      picture('c', 'small', 1)
    }
    await end()
    // When each of the others has had as much.
    expect(names().indexOf('large')).toBe(78)
  })

  it('does not save turns up for a client that was not there', async () => {
    const { picture, end, names } = recorded({ waiting: 1e9, turn: 1 })
    for (let n = 0; n < 6; n++) picture('a', `a${n}`, 10)
    for (let n = 0; n < 3; n++) await round()
    const before = names().length
    for (let n = 0; n < 6; n++) picture('b', `b${n}`, 10)
    await end()
    expect(before).toBeGreaterThan(1)
    const [first, second] = names()
      .slice(before, before + 4)
      .map((name) => name[0])
      .sort()
      .join('')
      .match(/a+|b+/g)
    expect([first, second]).toEqual(['aa', 'bb'])
  })

  it('counts what was done for a client while it has requests open, and no longer', async () => {
    const { queue, picture, end, names } = recorded()
    const open = queue.enter('a')
    picture('a', 'large', 30)
    await end()
    picture('a', 'modest', 15)
    picture('b', 'larger', 20)
    await end()
    expect(names()).toEqual(['large', 'larger', 'modest'])
    queue.leave(open)
    picture('a', 'modest', 15)
    picture('b', 'larger', 20)
    await end()
    expect(names().slice(3)).toEqual(['modest', 'larger'])
  })

  it('lets requests in between turns, which are one picture or several small ones', async () => {
    const { picture, end, done, names } = recorded()
    for (let n = 0; n < 12; n++) picture('a', `a${n}`, 1)
    picture('a', 'large', 20)
    await round()
    expect(names()).toEqual(['a0', 'a1', 'a2', 'a3', 'a4'])
    await end()
    expect(done).toHaveLength(13)
  })

  it('has turns for small pictures, which come meanwhile, between two large ones', async () => {
    const { picture, end, names } = recorded({ rest: 3, waiting: 1e9, patience: forever })
    for (let n = 0; n < 3; n++) picture('a', `large${n}`, 10)
    await round()
    expect(names()).toEqual(['large0'])
    // Two rounds more, before all of it has arrived.
    await round()
    await round()
    picture('b', 'small', 2)
    await end()
    expect(names()).toEqual(['large0', 'small', 'large1', 'large2'])
  })

  it('makes a small picture wait no longer than promised, whatever others send', async () => {
    const work = fc.integer({ min: 1, max: 20 })
    const steps = fc.array(
      fc.record({ client: fc.constantFrom('a', 'b', 'c'), work, wait: fc.integer({ min: 0, max: 9 }) }),
      {
        maxLength: 60,
      },
    )
    const small = fc.integer({ min: 1, max: limits.turn })
    await fc.assert(
      fc.asyncProperty(steps, small, steps, fc.nat(4), async (before, own, after, rest) => {
        const { picture, end, done } = recorded({ held: 1e9, waiting: 1e9, patience: forever, rest })
        const send = async (list) => {
          for (const { client, work, wait } of list) {
            picture(client, '', work)
            await vi.advanceTimersByTimeAsync(wait)
          }
        }
        await send(before)
        const doneBefore = done.length
        picture('x', 'x', own)
        await send(after)
        await end()
        const meanwhile = done.slice(
          doneBefore,
          done.findIndex(({ name }) => name === 'x'),
        )
        for (const client of ['a', 'b', 'c']) {
          const sum = meanwhile.reduce((total, picture) => total + (picture.client === client ? picture.work : 0), 0)
          expect(sum).toBeLessThan(own + 20)
        }
      }),
      { numRuns: 200 },
    )
  })
})

describe('the room', () => {
  it('is kept by the largest of the client with the most work', async () => {
    const { picture, end } = recorded()
    const [fits, largest] = [picture('a', 'fits', 40), picture('a', 'largest', 50)]
    const modest = picture('b', 'modest', 45)
    await end()
    expect(await Promise.all([fits, largest, modest])).toEqual(['fits', 503, 'modest'])
  })

  it('is kept by the largest of the client who holds the most bytes', async () => {
    const { picture, end } = recorded()
    const many = Array.from({ length: 4 }, (_, n) => picture('a', `a${n}`, 1, 20 + n))
    const one = picture('b', 'b', 1, 40)
    await end()
    expect(await Promise.all([...many, one])).toEqual(['a0', 'a1', 503, 503, 'b'])
  })

  it('refuses the newest of equals, and says so at once', async () => {
    const { queue } = recorded()
    const tickets = Array.from({ length: 100 }, () => queue.enter('a'))
    expect(() => queue.enter('a')).toThrow(expect.objectContaining({ status: 503, code: 'BUSY' }))
    // Another client's is let in instead of the one that came last.
    queue.enter('b')
    expect(() => queue.hold(tickets[99], 0)).toThrow(/too many pictures wait/)
    for (const ticket of tickets.slice(0, 99)) queue.hold(ticket, 0)
  })

  it('is given back at the end, whatever the end is', async () => {
    const { queue, picture, end } = recorded()
    for (let round = 0; round < 3; round++) {
      for (let n = 0; n < 9; n++) picture('a', n, 10, 10)
      await end()
    }
    const ticket = queue.enter('a')
    await expect(
      (async () => {
        const running = queue.run(ticket, 1, () => {
          throw new Error('damaged')
        })
        const caught = running.catch((error) => error)
        await vi.runAllTimersAsync()
        throw await caught
      })(),
    ).rejects.toThrow('damaged')
    queue.leave(ticket)
    // All the room that there is.
    queue.hold(queue.enter('a'), 99)
  })
})

describe('what goes wrong', () => {
  it('a request whose turn does not come in time is refused', async () => {
    const { picture, end } = recorded({ waiting: 1e9 })
    const outcomes = Array.from({ length: 10 }, (_, n) => picture('a', n, 100))
    await end()
    // Each takes 100 ms: at 750 ms eight have begun.
    expect(await Promise.all(outcomes)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 503, 503])
  })

  it('a small picture waits longer than a large one, if it may', async () => {
    const { picture, end } = recorded({ waiting: 1e9, turn: 100, patience: { small: 2000, large: 750 } })
    // Until 1000 ms.
    const small = Array.from({ length: 10 }, (_, n) => picture('a', n, 100))
    const large = picture('a', 'large', 101)
    await end()
    expect(await Promise.all(small)).toEqual(small.map((_, n) => n))
    expect(await large).toBe(503)
  })

  it('an error of one is no error of another', async () => {
    const { queue, picture, end } = recorded()
    const ticket = queue.enter('a')
    const running = queue.run(ticket, 1, () => {
      throw new RangeError('out of memory')
    })
    const caught = running.catch((error) => error)
    picture('a', 'good', 30)
    expect(await end()).toEqual(['good'])
    expect(await caught).toBeInstanceOf(RangeError)
  })

  it('nobody waits for a request that its runtime ended', async () => {
    const { queue, picture, end, names } = recorded()
    // Its timers never come: of all that it was, the ticket is left, in the queue and in the room.
    const setTimeout = globalThis.setTimeout
    globalThis.setTimeout = () => 0
    void queue.run(queue.enter('gone'), 1, () => 'nobody sees this')
    globalThis.setTimeout = setTimeout
    const half = queue.enter('gone')
    queue.hold(half, 90)
    picture('a', 'good', 30)
    expect(await end()).toEqual(['good'])
    expect(names()).toEqual(['good'])
    // Later the room is free again.
    vi.setSystemTime(Date.now() + 60_000)
    queue.hold(queue.enter('b'), 99)
  })
})

describe('clients', () => {
  it.each([
    ['203.0.113.7', '203.0.113.7'],
    ['203.0.113.7:4711', '203.0.113.7'],
    ['198.51.100.1, 203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['[2001:db8:1:2::6]:4711', '2001:db8:1:2::/64'],
    ['2001:db8::6', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['someone', 'someone'],
    ['', ''],
  ])('%s is %s', (address, client) => {
    expect(networkOf(address)).toBe(client)
  })
})
