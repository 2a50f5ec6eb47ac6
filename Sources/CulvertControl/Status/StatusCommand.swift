public import CulvertConfig
internal import CulvertIO
internal import CulvertSSH
internal import Glibc

/// `culvert status`: asks every culvert that runs here how its tunnels are.
public struct StatusCommand {
    /// As a service's: 3 is "not all of it runs", 4 is "unknown" for systemctl.
    private enum Outcome: Int32 {
        case allUp = 0
        case somethingDown = 3
        case noneRuns = 4
    }

    private static let refresh: UInt32 = 1

    private let request: StatusRequest
    private let environment: ConfigurationEnvironment

    public init(_ request: StatusRequest, _ environment: ConfigurationEnvironment) {
        self.request = request
        self.environment = environment
    }

    /// The exit status.
    public func run() -> Int32 {
        guard request.watches else { return show(ask()).rawValue }
        var before: Sample?
        while true {
            let now = Sample(processes: ask(), at: .current())
            if isatty(STDOUT_FILENO) != 0 { print("\u{1b}[H\u{1b}[2J", terminator: "") }
            _ = show(now.processes, rates: before.map { Rates(from: $0, to: now) })
            before = now
            fflush(nil)
            sleep(Self.refresh)
        }
    }

    private func ask() -> [ProcessDocument] {
        let isDetailed = !request.names.isEmpty || request.isJSON
        return RunningProcesses.ask(environment, withFlows: isDetailed)
    }

    private func show(_ processes: [ProcessDocument], rates: Rates? = nil) -> Outcome {
        var shown = processes
        for place in shown.indices { shown[place].tunnels.removeAll { !isWanted($0) } }
        shown.removeAll { $0.tunnels.isEmpty }
        let tunnels = shown.flatMap(\.tunnels)
        let missing = request.names.filter { name in !tunnels.contains { $0.name == name } }
        if !request.isQuiet { say(shown, tunnels, missing, isNoneThere: processes.isEmpty, rates) }
        if processes.isEmpty { return .noneRuns }
        return missing.isEmpty && !tunnels.isEmpty && tunnels.allSatisfy(\.isUp) ? .allUp : .somethingDown
    }

    private func isWanted(_ tunnel: TunnelDocument) -> Bool {
        request.names.isEmpty || request.names.contains(tunnel.name)
    }

    private func say(
        _ processes: [ProcessDocument], _ tunnels: [TunnelDocument], _ missing: [String], isNoneThere: Bool,
        _ rates: Rates?
    ) {
        if request.isJSON {
            return print(String(decoding: JSON.bytes(of: processes, pretty: true), as: UTF8.self), terminator: "")
        }
        if isNoneThere { return tell("culvert status: no culvert runs here") }
        for name in missing { tell("culvert status: no tunnel named \(name) runs") }
        if request.names.isEmpty {
            StatusTable.lines(ordered(tunnels)).forEach(printSafely)
        } else {
            let programs = LocalPrograms(of: tunnels)
            for tunnel in ordered(tunnels) {
                StatusDetail(tunnel, programs, rates).lines.forEach(printSafely)
            }
        }
    }

    /// Whatever a process says of its peers.
    private func printSafely(_ line: String) { print(SafeLine.escaped(line)) }

    private func tell(_ text: String) {
        let bytes = Array((SafeLine.escaped(text) + "\n").utf8)
        _ = unsafe bytes.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    private func ordered(_ tunnels: [TunnelDocument]) -> [TunnelDocument] {
        switch request.order {
        case nil: tunnels
        case .name: tunnels.sorted { $0.name < $1.name }
        case .destination: tunnels.sorted { $0.destination < $1.destination }
        // What is down first.
        case .state: tunnels.sorted { ($0.isUp ? 1 : 0, $0.state) < ($1.isUp ? 1 : 0, $1.state) }
        // The largest first.
        case .since: tunnels.sorted { $0.sinceSeconds ?? 0 > $1.sinceSeconds ?? 0 }
        case .connections: tunnels.sorted { $0.connections > $1.connections }
        case .out: tunnels.sorted { $0.sent > $1.sent }
        case .in: tunnels.sorted { $0.received > $1.received }
        }
    }
}

extension TunnelDocument {
    var connections: Int { forwards.reduce(0) { $0 &+ $1.connections } }
    var sent: UInt64 { forwards.reduce(0) { $0 &+ $1.sentBytes } }
    var received: UInt64 { forwards.reduce(0) { $0 &+ $1.receivedBytes } }
}
