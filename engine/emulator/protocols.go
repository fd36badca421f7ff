package emulator

func (x *exchange) admin()  { x.refuse(404, codePath, outcomeRejected, "no route for "+x.r.URL.Path) }
func (x *exchange) webSDK() { x.refuse(404, codePath, outcomeRejected, "no route for "+x.r.URL.Path) }
func (x *exchange) wechat() { x.refuse(404, codePath, outcomeRejected, "no route for "+x.r.URL.Path) }
func (x *exchange) controlPlane() {
	x.refuse(404, codePath, outcomeRejected, "no route for "+x.r.URL.Path)
}
