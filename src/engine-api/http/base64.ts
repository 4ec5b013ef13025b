import { ApiError } from './api-error.js';

/** Standard base64 with padding as bytes; line breaks are skipped. Refuses what Go's decoder refuses (engine-api E-108). */
export function decodeBase64(text: string): Uint8Array {
  const bad = firstBadByte(text);
  if (bad !== undefined) throw new ApiError('invalid-parameter', `illegal base64 data at input byte ${bad}`);
  return Uint8Array.from(atob(text.replace(/[\r\n]/g, '')), (character) => character.charCodeAt(0));
}

/** Where Go's decoder, which reads groups of four, says that the data goes wrong. */
function firstBadByte(text: string): number | undefined {
  let position = 0;
  const skipBreaks = (): void => {
    while (text[position] === '\n' || text[position] === '\r') position++;
  };
  for (;;) {
    for (let read = 0; read < 4; read++) {
      skipBreaks();
      const character = text[position];
      if (character === undefined) return read === 0 ? undefined : position - read;
      position++;
      if (/[A-Za-z0-9+/]/.test(character)) continue;
      if (character !== '=' || read < 2) return position - 1;
      if (read === 2) {
        skipBreaks();
        if (position === text.length) return position;
        if (text[position] !== '=') return position - 1;
        position++;
      }
      skipBreaks();
      return position < text.length ? position : undefined;
    }
  }
}
