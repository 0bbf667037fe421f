/**
 * Subscribers that have been given the same event go on together. Each begins with a stream of its own, from its own
 * cursor; who may share an answer is given the same object for it (`executor/event-runs.ts`), and by that those who stand
 * at the same place are found. From there one stream serves them all, and an event costs each of them what it takes to
 * send it. Who takes more slowly than the others goes back to a stream of its own, behind its last cursor, and so delays
 * nobody; it meets them again when it has caught up.
 */
import type { ExecutionResult } from 'graphql'

/** A stream opened for one subscriber. */
export interface OwnStream {
  readonly events: AsyncIterator<ExecutionResult>
  /** Lets go of what it holds, after its end. */
  close(): void
}

export interface Subscriber {
  /** Undefined: nothing to go on from, so that it stays by itself. */
  cursorOf(event: ExecutionResult): string | undefined
  /** Opens another stream of its own, behind that cursor. */
  reopen(after: string): Promise<OwnStream>
}

export interface SharedStreams {
  /** The subscriber's events in their order, each once. `return` ends it at once, also while one is awaited. */
  follow(own: OwnStream, subscriber: Subscriber): AsyncIterableIterator<ExecutionResult>
}

/** Events that may wait for the slowest of a group. */
const waitingMax = 32
/** Events kept for who comes to them a moment later, though all of the group have taken them. */
const keptMax = 4
/** How long a full group waits for its slowest. */
const patienceMs = 100

interface Entry {
  readonly event: ExecutionResult
  /** Members that have still to take it. */
  left: number
}

interface Place {
  readonly group: Group
  readonly index: number
}

type End = { kind: 'over' } | { kind: 'failed'; error: unknown } | { kind: 'met'; place: Place }

interface Group {
  readonly source: OwnStream
  readonly members: Set<Member>
  entries: Entry[]
  /** Index of the first entry. */
  first: number
  end: End | undefined
  /** Members that wait for the next event. */
  hungry: number
  /** Called when somebody has taken something, or nobody is left. */
  moved: () => void
}

interface Member {
  /** Index of the event to be taken next. */
  next: number
  group: Group | undefined
  /** Set while it waits: called when there is something to take, or nothing any more. */
  wake: (() => void) | undefined
}

export function createSharedStreams(): SharedStreams {
  const places = new WeakMap<ExecutionResult, Place>()

  function drop(group: Group): void {
    const entry = group.entries.shift()
    group.first += 1
    if (entry !== undefined && places.get(entry.event)?.group === group) places.delete(entry.event)
  }

  function trim(group: Group): void {
    while (group.entries.length > keptMax && group.entries[0]?.left === 0) drop(group)
  }

  /** Takes the member out; what it has not taken waits for it no longer. */
  function detach(group: Group, member: Member): void {
    if (!group.members.delete(member)) return
    for (let at = Math.max(member.next - group.first, 0); at < group.entries.length; at += 1) {
      const entry = group.entries[at]
      if (entry !== undefined) entry.left -= 1
    }
    member.group = undefined
    if (member.wake !== undefined) group.hungry -= 1
    trim(group)
    if (group.members.size === 0) close(group, { kind: 'over' })
    group.moved()
  }

  function close(group: Group, end: End): void {
    if (group.end !== undefined) return
    group.end = end
    for (const { event } of group.entries) if (places.get(event)?.group === group) places.delete(event)
    letGo(group.source)
    wakeAll(group)
  }

  function wakeAll(group: Group): void {
    for (const member of group.members) {
      const { wake } = member
      if (wake === undefined) continue
      member.wake = undefined
      group.hungry -= 1
      wake()
    }
  }

  function push(group: Group, event: ExecutionResult): void {
    if (group.entries.length >= waitingMax) {
      drop(group)
      for (const member of group.members) if (member.next < group.first) detach(group, member)
    }
    places.set(event, { group, index: group.first + group.entries.length })
    group.entries.push({ event, left: group.members.size })
    trim(group)
    wakeAll(group)
  }

  /**
   * Until there is room for the next event, or the slowest have had their time. They are the slowest only while most others
   * wait: where all are slow, as on a busy machine, nobody would gain by reading apart.
   */
  async function untilRoom(group: Group): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const patience = { over: false }
    const mostWait = (): boolean => group.hungry * 2 >= group.members.size
    const isFull = (): boolean => group.entries.length >= waitingMax && (group.entries[0]?.left ?? 0) > 0
    try {
      while (!isOver(group) && isFull() && !(patience.over && mostWait())) {
        const moved = new Promise<void>((resolve) => (group.moved = resolve))
        timer ??= setTimeout(() => {
          patience.over = true
          group.moved()
        }, patienceMs)
        await moved
      }
    } finally {
      clearTimeout(timer)
    }
  }

  async function read(group: Group): Promise<void> {
    try {
      for (;;) {
        await untilRoom(group)
        if (isOver(group)) return
        const step = await group.source.events.next()
        if (step.done === true) return close(group, { kind: 'over' })
        // While it was awaited the last one may have left.
        if (isOver(group)) return
        const place = places.get(step.value)
        // Another group is there already: from here on it serves these, too.
        if (place !== undefined && place.group !== group && !isOver(place.group)) {
          return close(group, { kind: 'met', place })
        }
        push(group, place?.group === group ? { ...step.value } : step.value)
      }
    } catch (error) {
      close(group, { kind: 'failed', error })
    }
  }

  function join(member: Member, { group, index }: Place): void {
    member.group = group
    member.next = index + 1
    group.members.add(member)
    for (let at = member.next - group.first; at < group.entries.length; at += 1) {
      const entry = group.entries[at]
      if (entry !== undefined) entry.left += 1
    }
  }

  function begin(source: OwnStream, event: ExecutionResult, member: Member): void {
    const group: Group = {
      source,
      members: new Set(),
      entries: [{ event, left: 0 }],
      first: 0,
      end: undefined,
      hungry: 0,
      moved: () => {},
    }
    const place = { group, index: 0 }
    places.set(event, place)
    join(member, place)
    void read(group)
  }

  function follow(first: OwnStream, subscriber: Subscriber): AsyncIterableIterator<ExecutionResult> {
    const member: Member = { next: 0, group: undefined, wake: undefined }
    const done: IteratorReturnResult<undefined> = { done: true, value: undefined }
    let own: OwnStream | undefined = first
    let cursor: string | undefined
    let ended = false

    /** With others where they are found; else others find this one. Without cursor or position it stays by itself. */
    function meet(event: ExecutionResult, source: OwnStream): void {
      if (cursor === undefined || typeof event.extensions?.['position'] !== 'string') return
      if (subscriber.cursorOf(event) === undefined) return
      own = undefined
      const place = places.get(event)
      if (place === undefined || isOver(place.group)) return begin(source, event, member)
      join(member, place)
      letGo(source)
    }

    function take(group: Group): ExecutionResult | undefined {
      const entry = group.entries[member.next - group.first]
      if (entry === undefined) return undefined
      entry.left -= 1
      member.next += 1
      trim(group)
      group.moved()
      return entry.event
    }

    /** After the last entry of a group that has ended. @throws what it ended with */
    function after(group: Group, end: End): IteratorReturnResult<undefined> | undefined {
      member.group = undefined
      group.members.delete(member)
      if (end.kind === 'failed') throw end.error
      if (end.kind === 'over') return done
      const { place } = end
      // What it was at is gone from there already: it reads on by itself and meets them later.
      if (isOver(place.group) || place.index < place.group.first) return undefined
      // The event that both have come to was not taken yet.
      join(member, { group: place.group, index: place.index - 1 })
      return undefined
    }

    /** What is there already. */
    function waiting(): IteratorYieldResult<ExecutionResult> | undefined {
      const event = member.group === undefined ? undefined : take(member.group)
      if (event === undefined) return undefined
      cursor = subscriber.cursorOf(event) ?? cursor
      return { done: false, value: event }
    }

    async function coming(): Promise<IteratorResult<ExecutionResult>> {
      for (;;) {
        if (ended) return done
        const found = waiting()
        if (found !== undefined) return found
        const { group } = member
        if (group !== undefined) {
          if (group.end !== undefined) {
            const over = after(group, group.end)
            if (over !== undefined) return over
            continue
          }
          group.hungry += 1
          const woken = new Promise<void>((resolve) => (member.wake = resolve))
          group.moved()
          await woken
          continue
        }
        if (own === undefined) {
          if (cursor === undefined) return done
          own = await subscriber.reopen(cursor)
          if (ended) letGo(own)
          continue
        }
        const source = own
        const step = await source.events.next()
        if (ended || step.done === true) return done
        cursor = subscriber.cursorOf(step.value) ?? cursor
        meet(step.value, source)
        return step
      }
    }

    return {
      next() {
        const found = ended ? undefined : waiting()
        return found === undefined ? coming() : Promise.resolve(found)
      },
      async return() {
        ended = true
        if (member.group !== undefined) {
          const { wake } = member
          detach(member.group, member)
          member.wake = undefined
          wake?.()
        }
        if (own !== undefined) letGo(own)
        return done
      },
      [Symbol.asyncIterator]() {
        return this
      },
    }
  }

  return { follow }
}

const isOver = ({ end }: Group): boolean => end !== undefined

/** The source may wait for something that never comes; nobody waits for it. */
function letGo({ events, close }: OwnStream): void {
  void events.return?.().then(undefined, () => {})
  close()
}
