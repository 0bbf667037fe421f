import { LRUCache } from 'lru-cache'

const maxCharacters = 10_000_000
/** A hash and what the map itself costs. */
const overhead = 200

/**
 * Texts that clients refer to by their SHA-256 ("automatic persisted queries"), in the form Apollo Server asks for. In this
 * process only: a client whose hash is not known here sends the text once more, by protocol.
 */
export function createPersistedQueries() {
  const texts = new LRUCache<string, string>({
    maxSize: maxCharacters,
    sizeCalculation: (text) => text.length + overhead,
  })
  return {
    get: async (hash: string): Promise<string | undefined> => texts.get(hash),
    set: async (hash: string, text: string): Promise<void> => {
      texts.set(hash, text)
    },
    delete: async (hash: string): Promise<boolean> => texts.delete(hash),
  }
}
