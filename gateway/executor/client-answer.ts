/**
 * Gives an answer the client's own names back where the plan ran under others (`planner/client-names.ts`). Only the exact
 * way's answers and errors come here: the fast way writes the client's names at once.
 */
import { GraphQLError } from 'graphql'
import { AnswerData, type Answer } from './answer.ts'
import { isObject, setOwn, type JsonObject } from './json.ts'

type Restore = (name: string) => string

export function restoreAnswer({ data, errors, ...rest }: Answer, restore: Restore): Answer {
  return {
    ...rest,
    ...(errors === undefined ? {} : { errors: restoreErrors(errors, restore) }),
    ...(data === undefined ? {} : { data: data && new AnswerData(restoreData(data.value, restore) as JsonObject) }),
  }
}

export function restoreErrors(errors: readonly GraphQLError[], restore: Restore): GraphQLError[] {
  return errors.map((error) => {
    const path = error.path?.map((step) => (typeof step === 'string' ? restore(step) : step))
    if (path === undefined || path.every((step, index) => step === error.path?.[index])) return error
    const { nodes, originalError, extensions } = error
    const message = path.reduce<string>(
      (text, step, index) => text.replaceAll(`.${error.path?.[index] ?? ''}.`, `.${step}.`),
      error.message,
    )
    return new GraphQLError(message, {
      ...(nodes === undefined ? {} : { nodes }),
      path,
      originalError: originalError ?? error,
      extensions,
    })
  })
}

function restoreData(value: unknown, restore: Restore): unknown {
  if (Array.isArray(value)) return value.map((item) => restoreData(item, restore))
  if (!isObject(value)) return value
  const restored: JsonObject = {}
  for (const key of Object.keys(value)) setOwn(restored, restore(key), restoreData(value[key], restore))
  return restored
}
