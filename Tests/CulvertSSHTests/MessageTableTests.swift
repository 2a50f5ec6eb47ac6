import Testing

@testable import CulvertSSH

/// What each of the 256 message numbers does in the connection phase.
@Suite struct MessageTableTests {
    private enum Effect {
        /// Nothing at all.
        case ignored
        /// SSH_MSG_UNIMPLEMENTED with the packet's sequence number (RFC 4253 §11.4).
        case unimplemented
        /// The connection ends with code 2.
        case refused
        /// It belongs here: a message with nothing after the number is malformed.
        case malformed
        case disconnected
    }

    private func effect(_ number: UInt8, _ role: ConnectionRole) -> Effect {
        switch number {
        case 1: .disconnected
        case 2, 3, 4: .ignored
        case 50 where role == .server: .ignored
        case 5...79: .refused
        case 80, 90...100: .malformed
        // Answers to nothing.
        case 81, 82: .ignored
        default: .unimplemented
        }
    }

    @Test(arguments: UInt8(0)...255, [ConnectionRole.client, .server])
    func everyNumberHasItsEffect(_ number: UInt8, _ role: ConnectionRole) throws {
        for drip in [false, true] {
            let node = Node(role)
            // Two packets before it, so that the sequence number is 2.
            try node.hear([2], [4])
            switch effect(number, role) {
            case .ignored:
                #expect(try node.hear([number], drip: drip) == [])
                #expect(node.said().isEmpty)
            case .unimplemented:
                #expect(try node.hear([number], drip: drip) == [])
                #expect(node.said() == [[3] + Script.u32(2)])
            case .refused, .malformed:
                node.refuses([number], drip: drip)
            case .disconnected:
                let error = #expect(throws: SSHError.self) { try node.hear([number], drip: drip) }
                #expect(error?.kind == .disconnected)
            }
        }
    }
}
