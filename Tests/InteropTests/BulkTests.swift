import Foundation
import Testing

/// Payload arrives as it was sent: every byte is compared.
@Suite(.serialized) struct BulkTests {
    struct Setup: CustomTestStringConvertible {
        let kind: ForwardKind
        let driver: Driver
        let links: Int

        var testDescription: String { "\(kind), \(driver), \(links) links" }
        var options: [String] {
            driver.arguments + (Subject.isCulvert && kind.needsServer ? ["--links", "\(links)"] : [])
        }

        static var all: [Setup] {
            var all: [Setup] = []
            for kind in ForwardKind.choices where [.direct, .reverse, .relay].contains(kind) {
                for driver in Driver.choices {
                    for links in kind.needsServer && Subject.isCulvert ? [1, 4] : [1] {
                        all.append(Setup(kind: kind, driver: driver, links: links))
                    }
                }
            }
            return all
        }
    }

    @Test("one flow: up, down, and both at once", arguments: Setup.all)
    func bulk(_ setup: Setup) throws {
        try onStage { stage in
            let (target, arrivals) = try TargetServer.handingOver(on: stage)
            let forward = try setup.kind.start(on: stage, to: target.address, options: setup.options)
            let size = Scale.bulkBytes
            for (up, down) in [(size, 0), (0, size), (size, size)] {
                let flow = try Flow(through: forward.address, arrivals: arrivals)
                try flow.transfer(up: up, down: down, seed: .random(in: 0 ... .max))
            }
        }
    }

    @Test("64 flows at once with random chunk sizes", arguments: Setup.all)
    func manyFlows(_ setup: Setup) throws {
        try onStage { stage in
            let (target, arrivals) = try TargetServer.handingOver(on: stage)
            let forward = try setup.kind.start(on: stage, to: target.address, options: setup.options)
            let flows = try (0..<64).map { _ in try Flow(through: forward.address, arrivals: arrivals) }
            let mean = Scale.manyFlowBytes / flows.count / 2
            try concurrently(flows.count) { index in
                try flows[index].transfer(
                    up: .random(in: mean / 2...mean * 3 / 2), down: .random(in: mean / 2...mean * 3 / 2),
                    seed: .random(in: 0 ... .max), chunk: 48 << 10, isRandomlyCut: true)
            }
            if setup.links == 4, let server = forward.server {
                // One monitor a login; as root the server needs no second process for it.
                #expect(server.log.components(separatedBy: "Accepted publickey").count - 1 == 4)
            }
        }
    }

    @Test("the keys are exchanged again under load", arguments: [ForwardKind.direct, .reverse])
    func rekey(_ kind: ForwardKind) throws {
        try onStage { stage in
            let (target, arrivals) = try TargetServer.handingOver(on: stage)
            let forward = try kind.start(on: stage, to: target.address, serverOptions: ["RekeyLimit 4M"])
            let flow = try Flow(through: forward.address, arrivals: arrivals)
            try flow.transfer(up: 48 << 20, down: 48 << 20, seed: 7)
            let exchanges = try #require(forward.server).keyExchanges
            #expect(exchanges >= 6, "the server asked for new keys every 4 MiB, and \(exchanges) exchanges ended")
        }
    }
}
