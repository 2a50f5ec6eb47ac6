public import CulvertConfig
internal import CulvertIO
public import CulvertRelay

/// The control socket of a process: HTTP/1.1 with JSON under `/v1/`, for `culvert status` and for whoever has curl.
public enum ControlService {
    /// Begins to serve, where the environment has a place for it. Returns what ends that and removes the socket.
    public static func begin(
        _ tunnels: [ShownTunnel], _ environment: ConfigurationEnvironment, journal: Journal
    ) -> @Sendable () -> Void {
        do throws(ControlPlace.Failure) {
            let place = try ControlPlace.own(environment)
            let listener = try place.listen(process: HostProcess.identifier)
            let routes = ControlRoutes(tunnels, process: HostProcess.identifier, since: .current())
            let end = try begin(listener) { routes.answer($0, reply: $1) }
            journal.verbose("control socket: \(place.path(of: HostProcess.identifier))")
            return {
                listener.remove()
                end()
            }
        } catch {
            journal.verbose("no control socket: \(error.reason)")
            return {}
        }
    }

    private static func begin(_ listener: ControlListener, answer: @escaping HTTPDesk.Answer) throws(ControlPlace
        .Failure)
        -> @Sendable () -> Void
    {
        do throws(IOError) { return try HTTPDesk.begin(listener, answer: answer) } catch {
            listener.remove()
            throw ControlPlace.Failure(reason: error.description)
        }
    }
}

/// What each path answers.
struct ControlRoutes: Sendable {
    private let tunnels: [ShownTunnel]
    private let process: Int
    private let since: Tick

    init(_ tunnels: [ShownTunnel], process: Int, since: Tick) {
        self.tunnels = tunnels
        self.process = process
        self.since = since
    }

    func answer(_ request: HTTPRequest, reply: @escaping @Sendable (HTTPResponse) -> Void) -> HTTPDesk.GiveUp? {
        let parts = request.path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        switch Array(parts) {
        case ["v1", "tunnels"]: return show(request, tunnels, withFlows: request.query["flows"] == "yes", reply)
        default:
            guard parts.count == 3, parts.starts(with: ["v1", "tunnels"]), let name = parts.last else {
                return refuse(reply, .text(.notFound, "no such path: GET /v1/tunnels, GET /v1/tunnels/NAME"))
            }
            let named = tunnels.filter { $0.name == name }
            guard !named.isEmpty else { return refuse(reply, .text(.notFound, "no tunnel is named \(name)")) }
            return show(request, named, withFlows: true, reply)
        }
    }

    private func refuse(_ reply: (HTTPResponse) -> Void, _ response: HTTPResponse) -> HTTPDesk.GiveUp? {
        reply(response)
        return nil
    }

    private func show(
        _ request: HTTPRequest, _ asked: [ShownTunnel], withFlows: Bool,
        _ reply: @escaping @Sendable (HTTPResponse) -> Void
    ) -> HTTPDesk.GiveUp? {
        guard request.isRead else { return refuse(reply, .onlyRead) }
        let (process, since) = (process, since)
        let question = ReportsAsked.ask(asked) { reports in
            let document = ProcessDocument(
                pid: process, version: culvertVersion, uptimeSeconds: (Tick.current() - since).seconds,
                tunnels: zip(asked, reports).map { tunnel, report in
                    TunnelDocument(tunnel.name, tunnel.destination(), report, withFlows: withFlows)
                })
            reply(HTTPResponse(status: .ok, type: "application/json", body: JSON.bytes(of: document)))
        }
        return { question.giveUp() }
    }
}
