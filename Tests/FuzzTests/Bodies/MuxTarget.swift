import CulvertConfig
import CulvertRelay

@testable import CulvertControl

extension FuzzTarget {
    /// A client of a master. The first byte says in what pieces the rest comes, the second what changes come to; what is
    /// answered must not depend on the pieces.
    static let mux = FuzzTarget(
        "Mux", maximumLength: 1200,
        seeds: {
            let forward = MuxForward(
                kind: .local, listen: .init(host: "", port: 1), connect: .init(host: "db", port: 5432))
            let remote = MuxForward(
                kind: .remote, listen: .init(host: "/s", port: nil), connect: .init(host: "socks", port: 0))
            let hello = MuxRequest.hello(version: 4).packet
            return [
                hello + MuxRequest.aliveCheck(1).packet + MuxRequest.terminate(2).packet,
                hello + MuxRequest.openForward(1, forward).packet + MuxRequest.closeForward(2, forward).packet,
                hello + MuxRequest.openForward(1, remote).packet + MuxRequest.newSession(3).packet + [0, 0, 0]
                    + MuxRequest.aliveCheck(4).packet,
                hello + MuxRequest.stdioForward(7, forward.connect).packet + [0, 0]
                    + MuxRequest.stopListening(8).packet,
                [0, 0, 0, 18, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 4, 0x69, 0x6e, 0x66, 0x6f, 0, 0] + hello,
                hello + MuxRequest.proxy(1).packet + MuxRequest.unknown(2).packet + MuxRequest.unknownForward(3).packet,
            ].map { [3, 0] + $0 }
        }
    ) { bytes in
        var input = FuzzInput(bytes)
        let (piece, answer) = (max(1, Int(input.byte())), Int(input.byte()))
        let client = input.rest()
        let whole = talk(client, piece: client.count, answer: answer)
        promise(talk(client, piece: piece, answer: answer) == whole, "pieces change nothing")
        for deed in whole {
            switch deed {
            case .send(let reply):
                promise((try? MuxReply(Array(reply.packet.dropFirst(4)))) != nil, "what is said can be read")
            case .close(let reason): promise(isOneSafeLine(reason), "what is shown is safe")
            case .change(.add(let forward)), .change(.cancel(let forward)):
                let text: String =
                    switch forward {
                    case .direct(let one): one.text
                    case .reverse(let one): one.text
                    }
                promise(isOneSafeLine(text), "what is shown is safe")
            case .carry(_, let text): promise(isOneSafeLine(text), "what is shown is safe")
            case .stopListening, .terminate, .dropDescriptors: break
            }
        }
        _ = try? MuxReply(client)
    }

    private static func talk(_ client: [UInt8], piece: Int, answer: Int) -> [MuxConversation.Deed] {
        let answers: [ForwardAnswer] = [.done(port: nil), .done(port: 7), .isThere(port: nil), .failed("no")]
        var conversation = MuxConversation(process: 1, options: ForwardingOptions.usual)
        var (deeds, position, changes) = ([MuxConversation.Deed](), 0, 0)
        while position < client.count {
            let count = min(max(1, piece), client.count - position)
            deeds += conversation.receive(Array(client[position..<position + count]))
            position += count
            while conversation.isPaused || conversation.isCarrying {
                if case .carry? = deeds.last {
                    deeds += conversation.handedOver(failure: answer % 2 == 0 ? nil : "no")
                    if answer % 2 == 0 { return deeds }
                    continue
                }
                let waits = deeds.last.map { if case .change = $0 { true } else { false } } ?? false
                promise(waits, "it waits for a change")
                deeds += conversation.answered(answers[(answer + changes) % answers.count])
                changes += 1
            }
        }
        if let close = deeds.firstIndex(where: { if case .close = $0 { true } else { false } }) {
            promise(close == deeds.count - 1, "nothing is done after the end")
        }
        return deeds
    }
}
