import { parse } from 'graphql'
import { expect, test } from 'vitest'
import { withoutStart } from '../../core/starting-place.ts'

const variables = { after: 'c', kinds: ['k'], deep: true }

test.each<[string, string, object]>([
  [
    'the cursor of the stream',
    'subscription ($after: String) { s(after: $after, kinds: $kinds) { id } }',
    { kinds: ['k'], deep: true },
  ],
  ['no cursor', 'subscription { s(kinds: $kinds) { id } }', variables],
  [
    'a cursor that nested fields are given, too',
    'subscription { s(after: $after) { page(after: $after) { id } } }',
    variables,
  ],
  ['a cursor in another argument', 'subscription { s(kinds: $after) { id } }', variables],
  ['a cursor in a fragment', 'subscription { ...F } fragment F on Subscription { s(after: $after) { id } }', variables],
  ['a cursor as a condition', 'subscription { s(after: $after) @include(if: $after) { id } }', variables],
])('of %s only what says where the stream begins is left out', (_name, text, wanted) => {
  expect(withoutStart(parse(text), variables)).toEqual(wanted)
})
