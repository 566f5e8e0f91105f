using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "digits", worker = .digits)],
  sockets = [(name = "http", address = "127.0.0.1:8787", http = (), service = "digits")],
);

const digits :Workerd.Worker = (
  modules = [
    (name = "worker.js", esModule = embed "worker.js"),
    (name = "core.wasm", wasm = embed "core.wasm"),
    (name = "model.safetensors", data = embed "model.safetensors"),
  ],
  bindings = [(name = "CLIENT_HEADER", fromEnvironment = "CLIENT_HEADER")],
  compatibilityDate = "2026-01-01",
);
