import Foundation
import Testing

/// Several quiet flows share a link whose server sends one small packet at a time.
@Suite(.serialized) struct PromptReplyTests {
    /// sshd holds a second small packet until the first is acknowledged; a kernel may do that as late as 40 ms after.
    @Test("one flow's reply does not wait for the acknowledgement of another's", arguments: Driver.choices)
    func repliesAreNotHeldBack(_ driver: Driver) throws {
        try onStage { stage in
            let (target, arrivals) = try TargetServer.handingOver(on: stage)
            let forward = try ForwardKind.direct.start(on: stage, to: target.address, options: driver.arguments)
            let first = try Flow(through: forward.address, arrivals: arrivals)
            let second = try Flow(through: forward.address, arrivals: arrivals)
            var waits: [Double] = []
            for _ in 0..<40 {
                // A question and its answer: from then on the kernel takes this for a conversation and holds back.
                try first.near.send("question")
                _ = try first.far.receiveText(count: 8)
                try first.far.send("answer")
                _ = try first.near.receiveText(count: 6)
                let began = monotonicSeconds()
                try second.far.send("news")
                _ = try second.near.receiveText(count: 4)
                waits.append(monotonicSeconds() - began)
            }
            let median = waits.sorted()[waits.count / 2]
            #expect(median < 0.012, "\(waits.map { Int($0 * 1e6) }) us")
        }
    }
}
