//! The fake's account: entering it, settings, devices.

use super::*;

/// Adds them.
pub(super) fn add(fake: &mut Fake) {
    fake.on(|fake, _: DaemonInfo| Ok(fake.state().info.clone()));
    fake.on(|fake, _: DaemonShutdown| {
        fake.stop.cancel();
        Ok(Done {})
    });
    fake.on(|fake, params: AccountRegister| {
        if params.user.as_str() == "taken" {
            return Err(RpcError::new(Kind::AlreadyExists, "that name is taken"));
        }
        fake.enter(params.user.clone(), params.password(), params.server_access())
    });
    fake.on(|fake, params: AccountLogin| fake.enter(params.user.clone(), params.password(), params.server_access()));
    fake.on(|fake, _: AccountStatus| {
        if let Some(account) = fake.state().account.clone() {
            return Ok(account);
        }
        let logged_in = fake.state().logged_in;
        Ok(AccountStatusAnswer {
            state: if logged_in { AccountState::Ready } else { AccountState::None },
            user: logged_in.then(|| user("alice")),
            server: logged_in.then(|| "chat.example:8897".to_owned()),
            device_id: logged_in.then(|| DeviceId::new([2; 16])),
            fingerprint: logged_in.then(|| Fingerprint::new([3; 32])),
            reset_at_ms: None,
            own_reset_at_ms: None,
            digits: None,
            confirmed: None,
        })
    });
    fake.on(|fake, _: AccountLogout| {
        fake.state().logged_in = false;
        Ok(Done {})
    });
    fake.on(|fake, params: AccountPassword| {
        let mut state = fake.state();
        state.secrets.extend([params.old.expose().to_owned(), params.new.expose().to_owned()]);
        if params.old.expose() == PASSWORD { Ok(Done {}) } else { Err(Kind::BadCredentials.into()) }
    });
    fake.on(|fake, _: SettingsGet| Ok(fake.state().settings.clone()));
    fake.on(|fake, params: SettingsSet| {
        let mut state = fake.state();
        let settings = &mut state.settings;
        settings.read_receipts = params.read_receipts.unwrap_or(settings.read_receipts);
        settings.presence = params.presence.unwrap_or(settings.presence);
        settings.history_days = params.history_days.unwrap_or(settings.history_days);
        settings.event_days = params.event_days.unwrap_or(settings.event_days);
        settings.max_events = params.max_events.unwrap_or(settings.max_events);
        settings.trust_policy = params.trust_policy.unwrap_or(settings.trust_policy);
        settings.outbox_days = params.outbox_days.unwrap_or(settings.outbox_days);
        Ok(settings.clone())
    });
    fake.on(|fake, _: DeviceList| Ok(Devices { devices: fake.state().devices.clone() }));
    fake.on(|fake, params: DeviceApprove| {
        let mut state = fake.state();
        let waits = |device: &&mut Device| device.device_id == params.device_id && device.digits.is_some();
        let device = state.devices.iter_mut().find(waits).ok_or(Kind::NotFound)?;
        if device.digits.as_deref() != Some(&params.digits.replace(' ', "")) {
            return Err(RpcError::new(Kind::Conflict, "the digits are not those of this device"));
        }
        (device.state, device.digits) = (DeviceState::Active, None);
        Ok(Approved { state: Approval::Added })
    });
    fake.on(|fake, params: DeviceRevoke| {
        let mut state = fake.state();
        let known = |id: &DeviceId| state.devices.iter().any(|device| device.device_id == *id);
        if !params.device_ids.iter().all(known) {
            return Err(Kind::NotFound.into());
        }
        let named = |device: &&mut Device| params.device_ids.contains(&device.device_id);
        state.devices.iter_mut().filter(named).for_each(|device| device.state = DeviceState::Revoked);
        Ok(Done {})
    });
}
