@testable import CulvertSSH

extension FuzzTarget {
    /// Every message that is decoded: number and fields. Where there is an encoder, what is written is read as the same.
    static let messages = FuzzTarget(
        "Messages", maximumLength: 1200,
        seeds: {
            let tcp = Wire.string("db") + Wire.uint32(5432) + Wire.string("127.0.0.1") + Wire.uint32(40000)
            let open = Wire.uint32(3) + Wire.uint32(1 << 20) + Wire.uint32(32768)
            return [
                [90] + Wire.string("direct-tcpip") + open + tcp, [90] + Wire.string("forwarded-tcpip") + open + tcp,
                [90] + Wire.string("direct-streamlocal@openssh.com") + open + Wire.string("/a") + Wire.string("")
                    + Wire.uint32(0),
                [90] + Wire.string("forwarded-streamlocal@openssh.com") + open + Wire.string("/a") + Wire.string(""),
                [90] + Wire.string("session") + open, [91] + Wire.uint32(0) + open,
                [92] + Wire.uint32(0) + Wire.uint32(2) + Wire.string("no\u{1b}[2J") + Wire.string(""),
                [93] + Wire.uint32(0) + Wire.uint32(-1), [94] + Wire.uint32(0) + Wire.string("data"),
                [95] + Wire.uint32(0) + Wire.uint32(1) + Wire.string("error"), [96] + Wire.uint32(0),
                [98] + Wire.uint32(0) + Wire.string("exit-status") + [1] + Wire.uint32(0),
                [80] + Wire.string("tcpip-forward") + [1] + Wire.string("localhost") + Wire.uint32(0),
                [80] + Wire.string("cancel-streamlocal-forward@openssh.com") + [0] + Wire.string("/a"),
                [80] + Wire.string("keepalive@openssh.com") + [1], [1] + Wire.uint32(11) + Wire.string("bye"),
                [7] + Wire.uint32(2) + Wire.string("server-sig-algs") + Wire.string("ssh-ed25519,x")
                    + Wire.string("ping@openssh.com") + Wire.string("0"),
                [6] + Wire.string("ssh-userauth"), [30] + Wire.string("part"),
                [31] + Wire.string("key") + Wire.string("part") + Wire.string("signature"),
                [51] + Wire.string("publickey,password") + [1], [53] + Wire.string("a\r\nb\n") + Wire.string(""),
                [60] + Wire.string("ssh-ed25519") + Wire.string("key"),
                [61] + Wire.string("name") + Wire.string("do") + Wire.string("") + Wire.uint32(1) + Wire.string("?")
                    + [0],
                [62] + Wire.string("change it") + Wire.string(""),
                [63] + Wire.string([0, 0x80]) + Wire.string([1, 2, 3]),
            ]
        }
    ) { bytes in
        guard !bytes.isEmpty else { return }
        do throws(SSHError) {
            try withMemory(of: bytes) { memory throws(SSHError) in
                guard let start = memory.baseAddress else { return }
                let reader = WireReader(start: start + 1, count: bytes.count - 1, of: "a message")
                try decode(bytes[0], reader, bytes)
            }
        } catch {
            promise(error.kind == .protocolViolation, "a malformed message breaks the protocol: \(error.kind)")
            promise(isOneSafeLine(error.description), "an error is one line")
        }
    }

    /// A message that an encoder makes, with its number.
    private static func written(_ write: (inout WireWriter) -> Void) -> [UInt8] {
        [UInt8](wire: PacketOutput.maximumMessage, write)
    }

    private static func read<Result>(
        _ message: [UInt8], _ body: (consuming WireReader) throws(SSHError) -> Result
    ) -> Result {
        do throws(SSHError) {
            return try withMemory(of: message) { memory throws(SSHError) in
                guard let start = memory.baseAddress else { fatalError("a message has bytes") }
                return try body(WireReader(start: start + 1, count: message.count - 1, of: "a message of ours"))
            }
        } catch {
            fatalError("what we write we can read: \(error)")
        }
    }

    private static func decode(_ number: UInt8, _ reader: consuming WireReader, _ bytes: [UInt8]) throws(SSHError) {
        switch number {
        case 1:
            promise(
                DisconnectMessage.error(reader, from: .server).kind == .disconnected, "the last word is the last word")
        case 6: try ServiceMessage.check(reader, ServiceMessage.userAuth)
        case 7:
            let info = try ExtensionInfo(reader)
            promise(read(info.bytes) { reader throws(SSHError) in try ExtensionInfo(reader) } == info, "EXT_INFO")
        case 30, 32:
            promise(
                KeyExchangeClientPart.bytes(try KeyExchangeClientPart(reader).part, number: number) == bytes,
                "a client's part")
        case 31, 33: promise(try KeyExchangeServerPart(reader).bytes(number: number) == bytes, "a server's part")
        case 34: promise(try GroupExchange.Request(reader).bytes == bytes, "a request for a group")
        case 51:
            let failure = try UserAuthFailure(reader)
            promise(failure.methods.allSatisfy { isOneSafeLine($0) }, "methods are printable")
        case 53:
            let banner = try UserAuthBanner(reader)
            promise(banner.lines.count <= PeerLines.maximumLines + 1, "a banner is a screen of text")
            promise(banner.lines.allSatisfy { isOneSafeLine($0.description) }, "a banner is safe to show")
        case 60: _ = try UserAuthPublicKeyOK(reader)
        case 61:
            let challenge = try UserAuthInfoRequest(reader).challenge
            let lines = challenge.prompts.flatMap(\.text.lines) + challenge.instruction.lines + [challenge.name]
            promise(lines.allSatisfy { isOneSafeLine($0.description) }, "a question is safe to show")
        case 62: promise(isOneSafeLine(try UserAuthPasswordChangeRequest(reader).prompt.description), "a prompt")
        case 63: try numbers(reader)
        case 80: try globalRequest(reader)
        case 90: try open(reader)
        case 91:
            let message = try ChannelOpenConfirmation(reader)
            promise(bytes.starts(with: written { message.write(to: &$0) }), "a confirmation")
        case 92: promise(isOneSafeLine(try ChannelOpenFailure(reader).words.description), "a refusal")
        case 93:
            let message = try ChannelWindowAdjust(reader)
            promise(
                written { ChannelWindowAdjust.write(recipient: message.recipient, count: message.count, to: &$0) }
                    == bytes, "an adjustment")
        case 94:
            let data = try ChannelData(reader)
            promise(data.payload.count == bytes.count - ChannelData.headerLength, "payload is all that follows")
        case 95: promise(try ChannelExtendedData(reader).count == bytes.count - 13, "extended data is all that follows")
        case 96, 97, 99, 100:
            let message = try ChannelSignal(reader)
            promise(written { ChannelSignal.write(number, recipient: message.recipient, to: &$0) } == bytes, "a signal")
        case 98: _ = try ChannelRequest(reader)
        default: break
        }
    }

    /// Two numbers of RFC 4251 §5.
    private static func numbers(_ reader: consuming WireReader) throws(SSHError) {
        for _ in 0..<2 {
            let magnitude = try reader.mpint(of: "a number")
            let digits = Array(magnitude)
            promise(digits.first != 0, "a magnitude has no zeros in front")
            let once = [UInt8](wire: 2 * MPInt.maximumLength) { writer in
                digits.withUnsafeBytes { writer.mpint($0) }
            }
            promise(Wire.uint32(in: once, at: 0) == once.count - 4, "a number has its length")
        }
    }

    private static func open(_ reader: consuming WireReader) throws(SSHError) {
        let message = try ChannelOpen(reader)
        guard case .request(let request) = message.body else { return }
        promise(ChannelOpen.fits(request), "what is taken is short enough to be sent")
        let again = written {
            ChannelOpen.write(
                request, sender: message.sender, window: message.window, maximumPacket: message.maximumPacket, to: &$0)
        }
        let second = read(again) { reader throws(SSHError) in try ChannelOpen(reader) }
        guard case .request(request) = second.body, second.sender == message.sender, second.window == message.window,
            second.maximumPacket == message.maximumPacket
        else { fatalError("what is written is what was read") }
    }

    private static func globalRequest(_ reader: consuming WireReader) throws(SSHError) {
        switch try GlobalRequest(reader).body {
        case .listen(let request):
            promise(GlobalRequest.fits(request), "what is taken is short enough to be sent")
            let again = written { GlobalRequest.writeListen(request, to: &$0) }
            guard case .listen(request) = read(again, { reader throws(SSHError) in try GlobalRequest(reader) }).body
            else { fatalError("what is written is what was read") }
        case .cancel(let request):
            guard case .tcp(_, let port) = request else { return }
            let again = written { GlobalRequest.writeCancel(request, port: port, to: &$0) }
            guard case .cancel(request) = read(again, { reader throws(SSHError) in try GlobalRequest(reader) }).body
            else { fatalError("what is written is what was read") }
        case .hostKeys(let keys):
            promise(keys.count <= HostKeyNews.maximumKeys, "there are no more than any server has")
            var news = HostKeyNews()
            promise(news.offer(keys) == !keys.isEmpty && news.takeOffered() == keys, "what is offered is taken")
            let signatures = keys.map { Array($0.reversed()) }
            let proof = HostKeyProof(keys: keys, signatures: signatures, sessionID: [1], agreedRSA: nil)
            promise((proof.proven() ?? []).allSatisfy(keys.contains), "nothing else is proved")
        case .impossible, .unknown: break
        }
    }
}
