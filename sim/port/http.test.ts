import { type HttpInstance, httpContract } from "@horizon/core/port/http.contract.ts"
import { formatV4 } from "@horizon/core/wire/address.ts"
import { drive } from "../kernel/drive.ts"
import { Kernel } from "../kernel/kernel.ts"
import { Process, WallClock } from "../kernel/process.ts"
import { Network } from "../net/network.ts"
import { layerHttpServer } from "./http.ts"
import { layerHttpClient } from "./http-client.ts"

const boot = (seed = 1) => {
  const kernel = new Kernel({ seed })
  const network = new Network(kernel, {
    subnets: { lan: { cidr: "10.0.0.0/24" } },
    hosts: { client: { subnet: "lan", up: { delayUs: 2_000 }, down: { delayUs: 2_000 } }, server: { subnet: "lan" } },
    routers: {}
  })
  const start = (name: string) => new Process({ kernel, name, wall: new WallClock(kernel, 0) })
  return { kernel, network, start, client: network.host("client"), server: network.host("server") }
}

httpContract({
  name: "simulated",
  open: (): HttpInstance => {
    const { client, server, start } = boot()
    const process = start("both")
    return {
      run: (effect) => drive(process, effect),
      server: layerHttpServer(server, process, 0),
      client: layerHttpClient(client, process),
      urlOf: (port) => `http://${formatV4(server.address)}:${port}`,
      clientAddress: formatV4(client.address),
      closedUrl: `http://${formatV4(server.address)}:9`
    }
  }
})
