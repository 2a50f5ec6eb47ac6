import CulvertIO
import CulvertSSH
import Testing

@testable import CulvertRelay

/// Where the engine and the worker meet: payload is sealed where the socket's bytes were read to, and opened where the
/// link's bytes were received, so that nothing is copied on the way.
@Suite struct BoundaryTests {
    /// Moves what `from` has to say into the ring of `to`, and shows it. Payload is judged by where it lies.
    private func carry(
        _ from: inout NullCipherEngine, _ ring: inout MirroredRing, _ to: inout NullCipherEngine,
        _ judge: (EngineEvent, UnsafeRawBufferPointer) -> Void
    ) throws -> [EngineEvent] {
        var events: [EngineEvent] = []
        while !from.output.isEmpty {
            let count = min(from.output.count, ring.writable.count)
            ring.writable.copyMemory(from: UnsafeRawBufferPointer(rebasing: from.output[..<count]))
            ring.advance(count)
            from.outputSent(count)
            let lent = ring.readable
            to.receive(lent)
            while let event = try to.nextEvent() {
                judge(event, UnsafeRawBufferPointer(lent))
                events.append(event)
            }
            ring.release(to.takeConsumed())
        }
        return events
    }

    @Test func payloadIsSealedAndOpenedInPlace() throws {
        var near = NullCipherEngine(role: .client)
        var far = NullCipherEngine(role: .server)
        var toFar = try MirroredRing(capacity: 64 * 1024)
        var toNear = try MirroredRing(capacity: 64 * 1024)
        let channel = try near.open(.directStreamLocal(path: "/x"))
        var requested: ChannelNumber?
        for case .openRequested(let number) in try carry(&near, &toFar, &far, { _, _ in }) { requested = number }
        guard let requested else { throw Missed("the far end is asked") }
        far.accept(requested)
        #expect(try carry(&far, &toNear, &near, { _, _ in }).count == 1)
        var dice = Dice(seed: 1)
        var packets = 0
        for _ in 0..<30 {
            let bytes = dice.bytes(32 * 1024)
            let slots = near.reserve(channel, maximum: bytes.count)
            #expect(slots.count == 1 && slots.totalLength == bytes.count)
            UnsafeMutableRawBufferPointer(start: slots.first!, count: bytes.count).copyBytes(from: bytes)
            try near.commit(channel, count: bytes.count)
            let output = near.output
            // The slot is part of what is sent.
            #expect(UnsafeRawPointer(slots.first!) >= output.baseAddress!)
            #expect(UnsafeRawPointer(slots.first!) + bytes.count <= output.baseAddress! + output.count)
            var came: [UInt8] = []
            _ = try carry(&near, &toFar, &far) { event, lent in
                guard case .payload(requested, let payload) = event else { return }
                // It lies in the lent bytes of the ring, not in a copy.
                #expect(payload.start >= lent.baseAddress!)
                #expect(payload.start + payload.count <= lent.baseAddress! + lent.count)
                came += UnsafeRawBufferPointer(start: payload.start, count: payload.count)
                packets += 1
            }
            #expect(came == bytes)
            far.credit(requested, count: bytes.count)
            _ = try carry(&far, &toNear, &near) { _, _ in }
        }
        #expect(packets == 30)
    }
}
