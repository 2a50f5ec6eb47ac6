internal import CulvertIO
public import CulvertPlan
public import CulvertRelay

/// `--metrics`: what Prometheus and health checks ask, for whoever reaches the place.
public enum MetricsService {
    /// Begins to serve. Returns what ends that.
    public static func begin(_ tunnels: [ShownTunnel], at place: MetricsPlace) throws(ControlFailure)
        -> @Sendable () -> Void
    {
        do throws(IOError) {
            let listener = try listener(at: place)
            let routes = MetricsRoutes(tunnels)
            let end = try HTTPDesk.begin(listener) { routes.answer($0, reply: $1) }
            return {
                listener.remove()
                end()
            }
        } catch { throw ControlFailure("--metrics \(place): \(errorText(error.number))") }
    }

    private static func listener(at place: MetricsPlace) throws(IOError) -> ControlListener {
        switch place {
        case .unix(let path):
            guard let address = SocketAddress(path: path) else { throw IOError.nameTooLong }
            return try ControlListener(at: address)
        case .tcp(let text, let port):
            guard let address = try? SocketAddress.resolve(host: text, port: port, numeric: true).first else {
                throw IOError.noAddress
            }
            return try ControlListener(openAt: address)
        }
    }
}

/// What each path answers.
struct MetricsRoutes: Sendable {
    private let tunnels: [ShownTunnel]

    init(_ tunnels: [ShownTunnel]) { self.tunnels = tunnels }

    func answer(_ request: HTTPRequest, reply: @escaping @Sendable (HTTPResponse) -> Void) -> HTTPDesk.GiveUp? {
        guard request.isRead else {
            reply(.onlyRead)
            return nil
        }
        let tunnels = tunnels
        switch request.path {
        case "/metrics":
            return ask { reports in
                let text = MetricsText(zip(tunnels.map(\.name), reports).map { ($0, $1) }, ProcessFigures.current())
                    .text
                reply(HTTPResponse(status: .ok, type: MetricsText.type, body: Array(text.utf8)))
            }
        // The process answers: that is all that a liveness check may depend on.
        case "/healthz": reply(.text(.ok, "ok"))
        case "/readyz":
            return ask { reports in
                let missing = zip(tunnels, reports).filter { $1?.isServing != true }.map { tunnel, report in
                    let document = TunnelDocument(tunnel.name, tunnel.destination(), report, withFlows: false)
                    let why = StatusTable.troubles(of: document).joined(separator: "; ")
                    return "\(tunnel.name): \(document.state)\(why.isEmpty ? "" : ": \(why)")"
                }
                reply(missing.isEmpty ? .text(.ok, "ok") : .text(.unavailable, missing.joined(separator: "\n")))
            }
        default: reply(.text(.notFound, "no such path: GET /metrics, /healthz or /readyz"))
        }
        return nil
    }

    private func ask(_ answer: @escaping @Sendable ([TunnelReport?]) -> Void) -> HTTPDesk.GiveUp {
        let question = ReportsAsked.ask(tunnels, answer: answer)
        return { question.giveUp() }
    }
}

extension TunnelReport {
    /// Connections are carried, or would be.
    fileprivate var isServing: Bool { state == .up || state == .idle }
}
