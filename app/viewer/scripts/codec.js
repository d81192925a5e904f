// Bytes as the server sends them.

function bytesOfBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

// format: "gzip", or "deflate" for zlib.
async function decompress(stream, format) {
  return new Response(stream.pipeThrough(new DecompressionStream(format))).arrayBuffer();
}

async function inflate(bytes) {
  return new Uint8Array(await decompress(new Blob([bytes]).stream(), "deflate"));
}
