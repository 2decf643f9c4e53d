/** Plays the app. */
export default {
  fetch(request) {
    return new Response(`you asked for ${new URL(request.url).pathname}\n`);
  },
};
