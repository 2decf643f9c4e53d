export default {
  fetch(request, env) {
    return env.ORIGIN.fetch(request);
  },
};
