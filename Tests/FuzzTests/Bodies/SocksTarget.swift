@testable import CulvertRelay

extension FuzzTarget {
    /// A SOCKS client. The first byte says in what pieces the rest comes; what is negotiated must not depend on it.
    static let socks = FuzzTarget(
        "Socks", maximumLength: 1200,
        seeds: {
            let name = Array("db.internal".utf8)
            let long = [UInt8](repeating: 0x61, count: 255)
            return [
                [4, 1, 0, 80, 127, 0, 0, 1, 0], [4, 1, 0, 80, 127, 0, 0, 1] + Array("user".utf8) + [0],
                [4, 1, 0x1f, 0x90, 0, 0, 0, 7, 0x75, 0] + name + [0], [4, 2, 0, 80, 127, 0, 0, 1, 0],
                [5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, 0, 80], [5, 2, 0, 2, 5, 1, 0, 3, 11] + name + [0, 80, 0x47],
                [5, 1, 0, 5, 1, 0, 4] + [UInt8](repeating: 0, count: 15) + [1, 0, 22],
                [5, 1, 2, 1, 1, 0x75, 1, 0x70, 5, 1, 0, 1, 10, 0, 0, 1, 0, 22],
                [5, 255] + [UInt8](repeating: 2, count: 255) + [1, 255] + long + [255] + long + [5, 1, 0, 3, 255] + long
                    + [1, 2],
                [5, 1, 1], [5, 0], [5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0], [5, 1, 0, 5, 1, 0, 2], Array("GET /".utf8),
            ].map { [0] + $0 }
        }
    ) { bytes in
        var input = FuzzInput(bytes)
        let piece = Int(input.byte())
        let client = input.rest()
        let (whole, taken, answer) = negotiate(client, piece: piece)
        let single = negotiate(client, piece: 1)
        promise(single == (whole, taken, answer), "pieces change nothing")
        promise(taken <= SocksNegotiation.maximumLength, "a client has said it in \(SocksNegotiation.maximumLength)")
        promise(taken <= client.count && answer.count <= 4 + 10, "nothing is made up")
        switch whole {
        case .needsBytes: promise(taken == client.count, "what is wanted is taken")
        case .requested(let request):
            promise((1...255).contains(request.host.utf8.count), "a target has a name")
            promise(isOneSafeLine(request.description), "what is shown is safe")
        case .failed(let fault): promise(isOneSafeLine(fault.description), "what is shown is safe")
        case .granted, .refused: promise(false, "nobody has concluded it")
        }
    }

    private static func negotiate(_ client: [UInt8], piece: Int) -> (SocksNegotiation.Step, Int, [UInt8]) {
        var socks = SocksNegotiation()
        var taken = 0
        var answer: [UInt8] = []
        while socks.wanted > 0 && taken < client.count {
            let count = min(socks.wanted, client.count - taken, max(1, piece))
            socks.take(client[taken..<taken + count])
            taken += count
            answer += socks.takeAnswer()
        }
        promise((socks.wanted == 0) == (socks.step != .needsBytes), "bytes are wanted until it is over")
        let negotiated = socks.step
        if case .requested = negotiated {
            for reply in [SocksReply.granted, .connectionRefused] {
                var concluded = socks
                concluded.conclude(reply)
                promise(concluded.step == (reply == .granted ? .granted : .refused), "it is concluded")
                promise([8, 10].contains(concluded.takeAnswer().count), "the reply has its length")
            }
        }
        return (negotiated, taken, answer)
    }
}
