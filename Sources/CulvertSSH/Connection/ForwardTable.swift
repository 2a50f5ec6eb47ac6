/// The endpoints that we asked the peer to listen on.
struct ForwardTable {
    private enum Phase: Equatable {
        /// The peer has not answered.
        case asked
        /// Cancelled before the answer: the port may be unknown yet, so the cancelling waits for the answer.
        case cancelledEarly
        /// The peer listens on this port (0 for a Unix socket).
        case standing(UInt16)
    }

    private struct Forward {
        let number: ForwardNumber
        let request: ForwardRequest
        var phase: Phase
    }

    private var forwards: [Forward] = []
    private var nextNumber: UInt32 = 0

    var count: Int { forwards.count }

    mutating func insert(_ request: ForwardRequest) -> ForwardNumber {
        let number = ForwardNumber(nextNumber)
        nextNumber += 1
        forwards.append(Forward(number: number, request: request, phase: .asked))
        return number
    }

    /// What the answer to a request leads to.
    enum Outcome: Equatable {
        case answered(accepted: Bool, port: UInt16)
        case mustCancel(ForwardRequest, port: UInt16)
        /// It was cancelled and refused: nobody waits for it.
        case forgotten
    }

    func request(_ number: ForwardNumber) -> ForwardRequest? {
        forwards.first { $0.number == number }?.request
    }

    /// The peer listens on `port`.
    mutating func accepted(_ number: ForwardNumber, port: UInt16) -> Outcome {
        guard let index = forwards.firstIndex(where: { $0.number == number }) else { return .forgotten }
        switch forwards[index].phase {
        case .cancelledEarly:
            return .mustCancel(forwards.remove(at: index).request, port: port)
        case .asked, .standing:
            forwards[index].phase = .standing(port)
            return .answered(accepted: true, port: port)
        }
    }

    mutating func refused(_ number: ForwardNumber) -> Outcome {
        guard let index = forwards.firstIndex(where: { $0.number == number }) else { return .forgotten }
        switch forwards.remove(at: index).phase {
        case .cancelledEarly: return .forgotten
        case .asked, .standing: return .answered(accepted: false, port: 0)
        }
    }

    /// From here on nothing that the peer opens for it matches. Returns what to tell the peer now, if anything.
    mutating func cancel(_ number: ForwardNumber) -> (ForwardRequest, port: UInt16)? {
        guard let index = forwards.firstIndex(where: { $0.number == number }) else { return nil }
        switch forwards[index].phase {
        case .asked, .cancelledEarly:
            forwards[index].phase = .cancelledEarly
            return nil
        case .standing(let port):
            return (forwards.remove(at: index).request, port)
        }
    }

    /// The request as it was asked for, with the port that stands, when a channel that the peer opens belongs to a
    /// forward of ours; nil otherwise. Many servers listen before they answer, and a connection may come between: then
    /// the port is the one that was asked for. RFC 4254 §7.2 has the peer say the address that was connected to, most say the
    /// one that was asked for: both are accepted, the first found by its own address before one that covers it.
    func match(_ open: ChannelOpenRequest) -> ChannelOpenRequest? {
        switch open {
        case .forwardedTCPIP(let address, let port, let originator, let originatorPort):
            guard let asked = askedAddress(address, port) else { return nil }
            return .forwardedTCPIP(
                address: asked, port: port, originator: originator, originatorPort: originatorPort)
        case .forwardedStreamLocal(let path):
            return isWanted(.streamLocal(path: path)) ? open : nil
        case .directTCPIP, .directStreamLocal:
            return nil
        }
    }

    private func isWanted(_ request: ForwardRequest) -> Bool {
        forwards.contains { $0.phase != .cancelledEarly && $0.request == request }
    }

    private func askedAddress(_ address: String, _ port: UInt16) -> String? {
        // Which one is meant is only clear when no other waits for a port of the peer's choice.
        let choosing = forwards.count { $0.phase == .asked && $0.request.leavesPortToPeer }
        var covering: String?
        for forward in forwards {
            guard case .tcp(let asked, let wanted) = forward.request else { continue }
            switch forward.phase {
            case .standing(port): break
            case .asked where wanted == port || wanted == 0 && choosing == 1: break
            case .asked, .standing, .cancelledEarly: continue
            }
            if asked == address { return asked }
            if covering == nil && Self.covers(asked, address) { covering = asked }
        }
        return covering
    }

    /// RFC 4254 §7.1: "" and the two unspecified addresses are every address, "localhost" the loopback ones. A
    /// name or address of another spelling is not ours to resolve.
    private static func covers(_ asked: String, _ address: String) -> Bool {
        switch asked {
        case "", "*", "0.0.0.0", "::": true
        case "localhost": address.hasPrefix("127.") || address == "::1"
        default: false
        }
    }
}
