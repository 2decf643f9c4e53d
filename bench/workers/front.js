// The first path segment is the name of the binding that answers: /W17 goes to Worker 17.
export default {
  fetch(request, env) {
    const { pathname } = new URL(request.url);
    return env[pathname.slice(1)].fetch(request);
  },
};
